"""The first screen when no pipeline was named: the recent pipelines, the samples, and a path to type.

Nothing is loaded or opened here: a sample is described by its docstring, a recent pipeline by its frontier file.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine import Frontier
from engine.errors import FrontierUnreadable
from engine.text.format import counted
from engine.text.terminal_safe import safe
from tui.screens.footer import KeyFooter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from tui.settings import Recent, Settings

SHORT = 200
DESCRIPTION_LIMIT = 50
"""Characters that fit beside the name."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One pipeline that can be opened."""

    target: str
    name: str
    description: str
    checkpoint_dir: str | None = None
    """The checkpoint folder of last time: a relative one in the pipeline file would be another folder from here."""


class OpeningScreen(Screen[None]):
    """Lets a person choose a target, and posts `Chosen`."""

    BINDINGS: ClassVar[list[BindingType]] = []

    class Chosen(Message):
        """A target was chosen."""

        def __init__(self, target: str, checkpoint_dir: str | None = None) -> None:
            self.target = target
            self.checkpoint_dir = checkpoint_dir
            super().__init__()

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._choices: list[Choice] = []

    def compose(self) -> ComposeResult:
        """Name and purpose, the choices, the path."""
        with Vertical(id="opening"):
            yield Static("batchpipe", id="opening-name")
            yield Static("batch pipelines that never lose their place", id="opening-words")
            choices = OptionList(id="choices")
            choices.border_title = "Open a pipeline"
            choices.border_subtitle = "enter opens"
            yield choices
            path = Input(placeholder="pipeline.py, pipeline.py:name or package.module:name", id="path", compact=True)
            path.border_title = "Or by its path"
            yield path
        yield KeyFooter()

    def on_mount(self) -> None:
        """List what can be opened."""
        choices = self.query_one(OptionList)
        for heading, found in (
            ("recent", [recent_choice(recent) for recent in self._settings.recents]),
            ("samples", list(samples())),
        ):
            if found:
                choices.add_option(Option(Content.styled(heading, "$text-muted"), disabled=True))
            for choice in found:
                choices.add_option(Option(_row(choice), id=str(len(self._choices))))
                self._choices.append(choice)
        choices.focus()
        choices.action_first()

    def on_screen_resume(self) -> None:
        """Show the keys."""
        self.query_one(KeyFooter).show()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open what was chosen."""
        event.stop()
        if event.option.id is not None:
            choice = self._choices[int(event.option.id)]
            self.post_message(self.Chosen(choice.target, choice.checkpoint_dir))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Open the path."""
        event.stop()
        target = event.value.strip()
        if target:
            self.post_message(self.Chosen(target))


def samples() -> Iterator[Choice]:
    """Yield the sample pipelines of this installation. They are not imported."""
    found = find_spec("sample_data")
    for folder in found.submodule_search_locations or () if found else ():
        for file in sorted(Path(folder).glob("*.py")):
            if file.name != "__init__.py":
                yield Choice(f"sample_data.{file.stem}:pipeline", file.stem, _first_sentence(file))


def _first_sentence(file: Path) -> str:
    try:
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    except (OSError, ValueError, SyntaxError):
        return ""
    return text.partition("\n")[0]


def recent_choice(recent: Recent) -> Choice:
    """Return a recent pipeline with the progress in its frontier file; the catalog is not opened."""
    return Choice(recent.target, recent.name, _progress_in_file(Path(recent.checkpoint_dir)), recent.checkpoint_dir)


def _progress_in_file(checkpoint_dir: Path) -> str:
    try:
        frontier = Frontier.load(checkpoint_dir / "frontier.json")
    except FrontierUnreadable as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        return "not started" if missing else "its frontier.json can't be read"
    if frontier.last_completed_batch_id < 0:
        return "not started"
    return f"{counted(frontier.next_batch_id, 'batch')} done, {counted(frontier.total_rows_processed, 'row')}"


def _row(choice: Choice) -> Content:
    return Content.assemble(
        (f"  {safe(choice.name, 30):<16} ", "bold"),
        safe(choice.description, DESCRIPTION_LIMIT),
        "\n",
        (f"  {'':<16} {safe(choice.target, SHORT)}", "$text-muted"),
    )
