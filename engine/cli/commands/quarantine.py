"""`batch-pipeline quarantine …`: the rows that no step could process, listed, written to a file, and tried again."""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.sentences import table
from engine.cli.streams import out, say
from engine.cli.targets import CheckpointDir, OptionalTarget, Place, place
from engine.text.exit_codes import ExitCode
from engine.text.format import counted, next_attempt
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine.checkpoint.store import CheckpointStore
    from engine.results.quarantine import QuarantinedRow
    from engine.runs.replay import Replayed

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Read and replay the rows that no step could process.",
)

_CELL = 60


@app.command("list")
def list_rows(
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, metavar="N", help="How many, in the order of the source.")
    ] = 20,
) -> None:
    """List the rows in quarantine, each with the step that can't process it and its error."""
    from engine.results import quarantine

    with place(target, checkpoint_dir).checkpoint.open() as store:
        total = store.rows_quarantined() if store else 0
        if store is None or not total:
            say("nothing in quarantine")
            return
        shown = list(quarantine.rows(store, limit))
        for line in table(("batch", "row", "step", "error", "input"), [_cells(row) for row in shown], cell_limit=_CELL):
            out(line)
        if len(shown) < total:
            say(f"{len(shown):,} of {counted(total, 'row')}; --limit shows more, quarantine export writes all of them")
        for line in _obstacles(store):
            say(line)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to: .parquet or .csv.")],
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write all rows in quarantine into one file, with their errors, each row as a JSON text."""
    from engine.results import quarantine

    with place(target, checkpoint_dir).checkpoint.open() as store:
        if store is None or not store.rows_quarantined():
            say("nothing in quarantine, and nothing written")
            return
        rows = quarantine.export(store, file, overwrite=overwrite)
    say(f"{counted(rows, 'row')} from quarantine {'is' if rows == 1 else 'are'} in {safe(str(file))}")


@app.command()
def replay(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The pipeline: file.py[:name] or package.module:name.")
    ],
    *,
    checkpoint_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the checkpoint is.")] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Replay although steps or source have changed.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write each event as a line of JSON to stdout.")] = False,
) -> ExitCode:
    """Put the rows in quarantine through the steps again, after these were mended.

    What gets through goes to its place in the results. Exit code 0 when no row is left in quarantine, 5 when some are,
    4 when it was stopped before it had tried them all. The first Ctrl-C lets it finish the batch it is at.
    """
    from engine.checkpoint.view import CheckpointView
    from engine.cli.json_lines import JsonLines
    from engine.cli.run_and_report import call_with_signals
    from engine.loading.target import load

    stdout = sys.stdout
    with redirect_stdout(sys.stderr):  # stdout is for results: what their code prints is talk
        pipeline = load(target).with_options(checkpoint_dir=checkpoint_dir)
        where = Place(CheckpointView(pipeline.checkpoint_dir), pipeline)
        where.checkpoint.require()
        pipeline.add_listener(_Telling())
        if json:
            pipeline.add_listener(JsonLines(stdout))
        done, stopped = call_with_signals(pipeline, lambda: pipeline.replay_quarantine(accept_changes=accept_changes))
    for line in _ending(where, done):
        say(line)
    return (stopped or ExitCode.QUARANTINED) if done.still else ExitCode.DONE


class _Telling:
    """A listener that says what a person should know while a replay goes on."""

    def __call__(self, event: object) -> None:
        from engine.events import AttemptFailed, RowsReplayed, Warned

        if isinstance(event, RowsReplayed):
            still = f", {event.still:,} still in quarantine" if event.still else ""
            say(f"batch {event.batch_id}: {counted(event.rows, 'row')} replayed{still}")
        elif isinstance(event, AttemptFailed):
            again = next_attempt(event.attempt, event.max_attempts, event.wait_seconds)
            say(f"batch {event.batch_id}: {safe(event.error, _CELL)}; {again}")
        elif isinstance(event, Warned):
            say(safe(event.message))


def _ending(where: Place, done: "Replayed") -> Iterator[str]:
    if not (done.rows or done.still):
        yield "nothing in quarantine"
        return
    yield f"{counted(done.rows, 'row')} replayed into the results, {done.still:,} still in quarantine"
    if not done.still:
        return
    from engine.cli.run_and_report import quarantine_command
    from engine.results import quarantine

    with where.checkpoint.open() as store:
        for reason in quarantine.reasons(store) if store else ():
            yield f"  {counted(reason.rows, 'row')}: step '{safe(reason.step)}': {safe(reason.error)}"
    for obstacle in done.obstacles:
        yield f"  not tried: {safe(obstacle)}"
    yield f"see {quarantine_command(where.folder)}"


def _obstacles(store: "CheckpointStore") -> Iterator[str]:
    """Yield a sentence for each reason for which rows can't be replayed."""
    rows: dict[str, int] = {}
    for manifest in store.quarantined_batches():
        for about in manifest.quarantine:
            if about.obstacle:
                rows[about.obstacle] = rows.get(about.obstacle, 0) + about.rows
    for obstacle, number in rows.items():
        yield f"{counted(number, 'row')} can't be replayed: {safe(obstacle)}"


def _cells(row: "QuarantinedRow") -> tuple[str, ...]:
    number = "" if row.source_row is None else f"{row.source_row:,}"
    return str(row.batch_id), number, row.step, row.error, row.input or ""
