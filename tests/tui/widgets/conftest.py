"""An app for one pane of a fixed size, and the views for the tests of the panes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from textual.app import App

from tui.look.glyphs import UNICODE

sys.path.insert(0, str(Path(__file__).parents[1]))  # test folders are no packages: `import views`


class Host(App):
    """An app that has only the panes, and gives them the view to show after they are mounted."""

    CSS = "Screen { layout: vertical; }"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, *panes, show=None, theme="textual-dark", focus=True, glyphs=UNICODE):
        super().__init__()
        self.glyphs = glyphs
        self.panes = panes
        self.first_show = show
        self.first_theme = theme
        self.AUTO_FOCUS = "*" if focus else None
        self.messages = []

    def compose(self):
        yield from self.panes

    def on_mount(self):
        self.theme = self.first_theme
        if self.first_show is not None:
            self.first_show(*self.panes)


@pytest.fixture
def host():
    return Host


@pytest.fixture
def play():
    """Run `script(pilot, pane)` in an app of one pane; return what the pane posted, in order."""

    def run(pane, script, *, size=(80, 12), show=None, **options):
        app = Host(pane, show=show, **options)
        posted = []
        post_message = pane.post_message

        def listen(message):
            if message.__class__.__qualname__.startswith(type(pane).__name__):
                posted.append(message)
            return post_message(message)

        async def session():
            async with app.run_test(size=size) as pilot:
                await pilot.pause()
                pane.post_message = listen
                await script(pilot, pane)
                await pilot.pause()

        asyncio.run(session())
        return posted

    return run


@pytest.fixture
def drawn(play):
    """Return the pane after it has drawn a view; its lines can still be read."""

    def run(pane, show, *, size=(80, 12), keys=(), **options):
        async def script(pilot, _pane):
            await pilot.press(*keys)

        play(pane, script, size=size, show=show, **options)
        return pane

    return run
