"""What a person takes out of the dashboard: a copy, a report, results, the quarantine, a line in their editor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from textual.app import SuspendNotSupported

from tui.screens.dashboard.base import DashboardBase
from tui.screens.dashboard.editor import SourceLine, editor_command, source_line
from tui.screens.dashboard.report import markdown
from tui.screens.dialogs.ask import AskScreen
from tui.screens.dialogs.confirm import ConfirmScreen

if TYPE_CHECKING:
    from engine.events import FailureRecord

SUFFIXES = (".parquet", ".csv", ".duckdb", ".db")
QUARANTINE_SUFFIXES = (".csv", ".parquet")


class Exporter(Protocol):
    """Begins to write a file."""

    def __call__(self, path: str, *, overwrite: bool = False) -> None:
        """Write to `path`."""


class FileCommands(DashboardBase):
    """Copy, open, export, report."""

    def detail_text(self) -> str:
        """Return what the detail pane shows, as plain text."""
        return ""

    def failure_in_mind(self) -> FailureRecord | None:
        """Return the failure that a person looks at."""
        return None

    def action_copy(self) -> None:
        """Copy what the detail pane shows."""
        text = self.detail_text()
        if text:
            self.app.copy_to_clipboard(text)
            self.say("Copied.")
        else:
            self.say("Nothing is selected that could be copied.")

    def action_open_source(self) -> None:
        """Open the line that failed in the person's editor, with the terminal to itself."""
        place = self.place_of_failure()
        if place is None:
            self.say("No file of yours is in that traceback.", bad=True)
            return
        command = editor_command(place)
        try:
            with self.app.suspend():
                # The descriptors that a child would inherit lead to the log.
                screen = sys.__stderr__
                status = subprocess.run(command, check=False, stdout=screen, stderr=screen).returncode  # noqa: S603 (the person's own $EDITOR)
        except SuspendNotSupported:
            self.say("This terminal can't be lent to an editor.", bad=True)
        except OSError as error:
            self.say(f"{command[0]} can't be started: {error.strerror}. Set $EDITOR.", bad=True)
        else:
            if status:
                self.say(f"{command[0]} ended with status {status}.", bad=True)
        self.refresh()

    def place_of_failure(self) -> SourceLine | None:
        """Return the line of a person's own file where the failure is at home."""
        failure = self.failure_in_mind()
        if failure is None:
            return None
        file = self.bridge.target.known_file if self.bridge.target else None
        return source_line(failure.traceback, file, failure.step)

    def action_export(self) -> None:
        """Ask for a path, and write the results there."""
        what = f"the results of {self.seen.frontier + 1:,} batches"
        # Not the pipeline's bare name: a source is often called so.
        self._ask_for_file("Export the results", what, "results.parquet", SUFFIXES, self.bridge.export)

    def action_export_quarantine(self) -> None:
        """Ask for a path, and write the rows in quarantine there."""
        rows = self.seen.rows_quarantined
        what = "the row in quarantine with its error" if rows == 1 else f"the {rows:,} rows in quarantine, with errors,"
        export = self.bridge.export_quarantine
        self._ask_for_file("Export the quarantine", what, "quarantine.csv", QUARANTINE_SUFFIXES, export)

    def _ask_for_file(self, title: str, what: str, name: str, suffixes: tuple[str, ...], export: Exporter) -> None:
        def problem(text: str) -> str:
            path = Path(text).expanduser()
            if path.suffix.lower() not in suffixes:
                return f"The name must end in one of {', '.join(suffixes)}."
            if path.resolve() == Path(self.seen.source).resolve():
                return "That is the source of this pipeline."
            return "" if path.parent.is_dir() else f"The folder {path.parent} does not exist."

        def chosen(text: str | None) -> None:
            if text is not None:
                self._export_to(Path(text).expanduser(), export)

        lines = [f"Write {what} into one file:"]
        value = f"{self.seen.pipeline or 'pipeline'}-{name}".replace("/", "_")
        self.app.push_screen(AskScreen(title, lines, verb="Export", value=value, problem=problem), chosen)

    def _export_to(self, path: Path, export: Exporter) -> None:
        """Hand the export to the worker; ask first when a file would be replaced."""

        def begin(*, overwrite: bool) -> None:
            export(str(path), overwrite=overwrite)
            self.say(f"Exporting to {path}…")

        def answered(yes: bool | None) -> None:  # noqa: FBT001 (Textual's callback)
            if yes:
                begin(overwrite=True)

        if path.exists():
            lines = [f"{path} is there already.", "A DuckDB file keeps its other tables; any other file is replaced."]
            self.app.push_screen(ConfirmScreen("Overwrite?", lines, verb="Overwrite"), answered)
        else:
            begin(overwrite=False)

    def action_report(self) -> None:
        """Write the run as Markdown into the current folder."""
        view = self.seen
        run = f"-run-{view.run_id}" if view.run_id is not None else ""
        path = Path(f"{view.pipeline or 'pipeline'}{run}.md".replace("/", "_"))
        try:
            path.write_text(markdown(view, self.bridge.runs, self.now()), encoding="utf-8")
        except OSError as error:
            self.say(f"The report can't be written to {path}: {error.strerror}", bad=True)
        else:
            self.say(f"The report is in {path.resolve()}.")
