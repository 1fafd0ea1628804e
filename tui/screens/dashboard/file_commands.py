"""The keys that copy or write something: the detail, a report, results, the quarantine; and the one for the editor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from textual.app import SuspendNotSupported

from engine.text.format import counted
from tui.backend.jobs import Job
from tui.screens.dashboard.editor import editor_command, source_line
from tui.screens.dashboard.report import markdown
from tui.screens.dashboard.selection import Selection
from tui.screens.dialogs.ask import AskScreen
from tui.screens.dialogs.confirm import ConfirmScreen
from tui.widgets.detail import DetailPane

if TYPE_CHECKING:
    from tui.backend.jobs import JobResult

SUFFIXES = (".parquet", ".csv", ".duckdb", ".db")
QUARANTINE_SUFFIXES = (".csv", ".parquet")


class Exporter(Protocol):
    """Begins to write a file."""

    def __call__(self, path: str, *, overwrite: bool = False) -> None:
        """Write to `path`."""


class FileCommands(Selection):
    """Copy, open, export, report."""

    def action_copy(self) -> None:
        """Copy what the detail pane shows."""
        text = self.query_one(DetailPane).plain_text
        if text:
            self.app.copy_to_clipboard(text)
            self.say("Copied.")
        else:
            self.say("Nothing is selected, so there is nothing to copy.")

    def action_open_source(self) -> None:
        """Open the line that failed in the person's editor, which gets the terminal meanwhile."""
        failure = self.selected_failure
        file = self.bridge.target.known_file if self.bridge.target else None
        line = source_line(failure.traceback, file, failure.step) if failure is not None else None
        if line is None:
            self.say("No file of yours is in that traceback.", bad=True)
            return
        command = editor_command(line)
        try:
            with self.app.suspend():
                # The descriptors that a child inherits lead to the log.
                screen = sys.__stderr__
                status = subprocess.run(command, check=False, stdout=screen, stderr=screen).returncode  # noqa: S603 (the person's own $EDITOR)
        except SuspendNotSupported:
            self.say("An editor can't be opened in this terminal.", bad=True)
        except OSError as error:
            self.say(f"{command[0]} can't be started: {error.strerror}. Set $EDITOR.", bad=True)
        else:
            if status:
                self.say(f"{command[0]} ended with status {status}.", bad=True)
        self.refresh()

    def action_export(self) -> None:
        """Ask for a path, and write the results there."""
        what = f"the results of {counted(self.seen.frontier + 1, 'batch')}"
        # Not the bare name of the pipeline: a source often has that name.
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
            if path.resolve() == Path(self.seen.info.source).resolve():
                return "That is the source of this pipeline."
            return "" if path.parent.is_dir() else f"The folder {path.parent} does not exist."

        lines = [f"Write {what} into one file:"]
        value = f"{self.seen.info.pipeline or 'pipeline'}-{name}".replace("/", "_")
        dialog = AskScreen(title, lines, verb="Export", value=value, problem=problem)
        dialog.ask(self.app, lambda text: self._export_to(Path(text).expanduser(), export))

    def _export_to(self, path: Path, export: Exporter) -> None:
        """Start the export; ask first when a file would be replaced."""

        def begin(*, overwrite: bool) -> None:
            export(str(path), overwrite=overwrite)
            self.say(f"Exporting to {path}…")

        if path.exists():
            lines = [
                f"{path} exists already.",
                "Of a DuckDB file only the table is replaced; any other file is replaced as a whole.",
            ]
            ConfirmScreen("Overwrite?", lines, verb="Overwrite").ask(self.app, lambda _: begin(overwrite=True))
        else:
            begin(overwrite=False)

    def action_report(self) -> None:
        """Write the run as Markdown into the current folder; ask first when a file would be replaced."""
        view = self.seen
        run = f"-run-{view.run_id}" if view.run_id is not None else ""
        path = Path(f"{view.info.pipeline or 'pipeline'}{run}.md".replace("/", "_"))
        text = markdown(view, self.bridge.runs, self.now())

        def write(mode: Literal["x", "w"]) -> None:
            try:
                with path.open(mode, encoding="utf-8") as file:
                    file.write(text)
            except FileExistsError:
                lines = [f"{path.absolute()} exists already.", "The report replaces it as a whole."]
                ConfirmScreen("Overwrite?", lines, verb="Overwrite").ask(self.app, lambda _: write("w"))
            except OSError as error:
                self.say(f"The report can't be written to {path}: {error.strerror}", bad=True)
            else:
                self.say(f"The report is in {path.absolute()}.")

        write("x")

    def job_ended(self, result: JobResult) -> None:
        """Say where an export is, or why there is none."""
        what = {Job.EXPORT: "results are", Job.EXPORT_QUARANTINE: "quarantine is"}.get(result.job)
        if what is not None:
            error = result.error
            self.say(f"{error.message} {error.hint}" if error else f"The {what} in {result.asked}.", bad=bool(error))
        super().job_ended(result)
