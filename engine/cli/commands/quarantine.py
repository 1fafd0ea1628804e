"""`batch-pipeline quarantine …`: the rows that the source or a step refused, listed, exported and replayed."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.sentences import list_quarantine
from engine.cli.streams import print_message, print_result, user_output_on_stderr
from engine.cli.tables import table_lines
from engine.cli.targets import CheckpointDir, OptionalTarget, Target, load_pipeline, open_checkpoint
from engine.text.exit_codes import ExitCode
from engine.text.format import counted, next_attempt, refusing
from engine.text.terminal_safe import ELLIPSIS, safe

if TYPE_CHECKING:
    from engine import BatchPipeline, QuarantinedRow, Replayed
    from engine.events import Event

_CELL_WIDTH = 60

quarantine = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Read and replay the rows that the source could not read or no step could process.",
)


@quarantine.command("list")
def list_rows(
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, metavar="N", help="Maximum number, in source order.")
    ] = 20,
) -> None:
    """List the rows in quarantine, each with the error of the step or the source, and its line if it was unreadable."""
    quarantined = open_checkpoint(target, checkpoint_dir).quarantine
    total = quarantined.row_count()
    if not total:
        print_message("nothing in quarantine")
        return
    rows = quarantined.rows(limit)
    head: tuple[str, ...] = ("batch", "row", "step", "error", "input")
    cells = [_cells(row) for row in rows]
    if any(row.origin for row in rows):
        head = (*head[:2], "line", *head[2:])
        cells = [(*cell[:2], _line(row), *cell[2:]) for cell, row in zip(cells, rows, strict=True)]
    print_result(*table_lines(head, cells, cell_width=_CELL_WIDTH))
    if len(rows) < total:
        print_message(
            f"{len(rows):,} of {counted(total, 'row')}; --limit shows more, quarantine export writes all of them"
        )
    for obstacle, number in quarantined.obstacles().items():
        print_message(f"{counted(number, 'row')} can't be replayed: {safe(obstacle)}")


@quarantine.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to: .parquet or .csv.")],
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write all rows in quarantine into one file, with their errors; each row as a JSON text, or as its line's text."""
    quarantined = open_checkpoint(target, checkpoint_dir).quarantine
    if not quarantined.row_count():
        print_message("nothing in quarantine, nothing written")
        return
    rows = quarantined.export(file, overwrite=overwrite)
    print_message(f"{counted(rows, 'row')} from quarantine {'is' if rows == 1 else 'are'} in {safe(str(file))}")


@quarantine.command()
def replay(
    target: Target,
    *,
    checkpoint_dir: CheckpointDir = None,
    mended: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Read rows of the source from the column text of this file, which quarantine export wrote.",
        ),
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Replay although steps or source have changed.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write each event as a line of JSON to stdout.")] = False,
) -> ExitCode:
    """Send the rows in quarantine through the steps again, after you have fixed the steps or the source.

    Rows that the source could not read are read again: from the source, or with --from from a file in which you have
    corrected them; then all other rows stay in quarantine.
    Rows that the steps can process now go to their place in the results. Exit code 0 if no row is left in quarantine,
    5 if some are, 4 if it was stopped before it had tried all. The first Ctrl-C lets it finish the current batch.
    """
    from engine.cli.json_lines import JsonLines
    from engine.cli.run_and_report import call_with_signals

    with user_output_on_stderr() as stdout:
        pipeline = load_pipeline(target, checkpoint_dir)
        pipeline.require()
        pipeline.add_listener(_print_event)
        if json:
            pipeline.add_listener(JsonLines(stdout))
        done, stopped = call_with_signals(
            pipeline, lambda: pipeline.quarantine.replay(mended=mended, accept_changes=accept_changes)
        )
    print_message(*_last_words(pipeline, done))
    return (stopped or ExitCode.QUARANTINED) if done.still else ExitCode.DONE


def _print_event(event: "Event") -> None:
    """Print what the user should know during a replay."""
    from engine.events import AttemptFailed, RowsReplayed, Warned

    if isinstance(event, RowsReplayed):
        still = f", {event.still:,} still in quarantine" if event.still else ""
        print_message(f"batch {event.batch_id}: {counted(event.rows, 'row')} replayed{still}")
    elif isinstance(event, AttemptFailed):
        retry = next_attempt(event.attempt, event.max_attempts, event.wait_seconds)
        print_message(f"batch {event.batch_id}: {safe(event.error, _CELL_WIDTH)}; {retry}")
    elif isinstance(event, Warned):
        print_message(safe(event.message))


def _last_words(pipeline: "BatchPipeline", done: "Replayed") -> Iterator[str]:
    if not (done.rows or done.still):
        yield "nothing in quarantine"
        return
    yield f"{counted(done.rows, 'row')} replayed into the results, {done.still:,} still in quarantine"
    for obstacle in done.obstacles:
        yield f"  not tried: {safe(obstacle)}"
    if not done.still:
        return
    for reason in pipeline.quarantine.reasons():
        yield f"  {counted(reason.rows, 'row')}: {safe(refusing(reason.step))}: {safe(reason.error)}"
    yield f"see {list_quarantine(pipeline.checkpoint_dir)}"


def _line(row: "QuarantinedRow") -> str:
    """Return the file and the line of a row that the source can't read; the end of a long name tells more."""
    if row.origin is None:
        return ""
    file, line = row.origin.file, str(row.origin.line or "")
    most = _CELL_WIDTH - len(line) - 1
    return f"{file if len(file) <= most else f'{ELLIPSIS}{file[-most + 1 :]}'}:{line}"


def _cells(row: "QuarantinedRow") -> tuple[str, ...]:
    number = "" if row.source_row is None else f"{row.source_row:,}"
    return str(row.batch_id), number, row.step, row.error, row.input or ""
