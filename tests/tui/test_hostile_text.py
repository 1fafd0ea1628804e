"""Text from people who don't like us, through the real engine and the real screen: shown as text, nothing obeyed."""

import asyncio

import pytest
import views
from textual.widgets import Static

from engine.state import RunState
from tui.app import BatchPipeApp
from tui.settings import Recent, Settings
from tui.widgets import DetailPane

HOSTILE = """
from engine import BatchPipeline, FunctionBatchStep
from engine.testing import NumberSource

def fail(frame):
    raise ValueError({text!r} + "x" * 10_000)

pipeline = BatchPipeline(
    [FunctionBatchStep({name!r}, fail)], NumberSource(100), batch_size=10,
    checkpoint_dir={checkpoint_dir!r}, name={name!r},
)
"""


def drawn(app):
    """Return the characters of the screen, as they would go to the terminal."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


def assert_harmless(app):
    text = drawn(app)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert len(text.splitlines()) == app.size.height


SIZES = ((120, 36), (80, 24), (60, 20))


@pytest.mark.parametrize("number", range(len(views.HOSTILE_NAMES) + 2))
def test_hostile_step_pipeline_and_error(number, tmp_path, app_for, until):
    # Every name in one of the sizes, and the first two in another one each.
    name, size = views.HOSTILE_NAMES[number % len(views.HOSTILE_NAMES)], SIZES[number % len(SIZES)]
    path = tmp_path / "[@click=app.quit]hostile[bold].py"
    folder = tmp_path / "[bold]\u202echeckpoint"
    path.write_text(
        HOSTILE.format(text=views.HOSTILE_TEXT, name=name[:200], checkpoint_dir=str(folder)), encoding="utf-8"
    )

    async def story():
        app = app_for(str(path))
        async with app.run_test(size=size) as pilot:
            await until(lambda: app.bridge.loaded and app.bridge.working is None)
            await pilot.press("r")
            await until(lambda: app.bridge.working is None and app.bridge.view().state is RunState.FAILED)
            for keys in [["5"], ["8"], ["4"], ["9"], ["escape"], ["z"], ["z"], ["question_mark"], ["escape"], ["w"]]:
                await pilot.press(*keys)
                await pilot.pause()
                assert_harmless(app)
            assert app.return_code is None

    asyncio.run(story())


def test_hostile_recent_pipelines(until):
    recents = tuple(Recent(name, name, f"/nowhere/{name}") for name in views.HOSTILE_NAMES)

    async def story():
        app = BatchPipeApp(settings=Settings(recents=recents))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert_harmless(app)
            await pilot.press("down", "enter")
            await until(lambda: app.bridge is not None and app.bridge.error is not None)
            await pilot.pause()
            assert_harmless(app)

    asyncio.run(story())


def test_secret_in_an_error_is_masked(tmp_path, app_for, until):
    path = tmp_path / "hostile.py"
    text = "cannot reach postgresql://ann:hunter2@db/sales "
    path.write_text(HOSTILE.format(text=text, name="load", checkpoint_dir=str(tmp_path / "c")), encoding="utf-8")

    async def story():
        app = app_for(str(path))
        async with app.run_test(size=(120, 36)) as pilot:
            await until(lambda: app.bridge.loaded and app.bridge.working is None)
            await pilot.press("r")
            await until(lambda: app.screen.query_one(DetailPane).plain_text)
            assert "hunter2" not in app.screen.query_one(DetailPane).plain_text.partition("Traceback")[0]
            assert "hunter2" not in drawn(app)
            assert "hunter2" not in str(app.screen.query_one("#status-line", Static).render())

    asyncio.run(story())
