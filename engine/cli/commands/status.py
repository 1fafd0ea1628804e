"""`batch-pipeline status`, `history` and `failures`: what the checkpoint knows, on stdout."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.failure_text import record_in_words
from engine.cli.sentences import frontier_in_words, table
from engine.cli.streams import out, say
from engine.cli.targets import CheckpointDir, OptionalTarget, Place, place
from engine.errors import PipelineError
from engine.text.format import counted, duration, instant, percent, size
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine.checkpoint.catalog.records import RunRecord
    from engine.checkpoint.view import Standing

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="How many, the newest first.")]

_NAME, _MESSAGE = 40, 300


def status(target: OptionalTarget = None, *, checkpoint_dir: CheckpointDir = None) -> None:
    """Show where a pipeline stands.

    Works while another process runs it.
    """
    where = place(target, checkpoint_dir)
    for line in _status(where, where.checkpoint.standing(where.steps)):
        out(line)


def history(target: OptionalTarget = None, *, checkpoint_dir: CheckpointDir = None, limit: Limit = 20) -> None:
    """List the runs, newest first."""
    with place(target, checkpoint_dir).checkpoint.open() as store:
        runs = store.history.runs(limit) if store else []
    if not runs:
        say("no runs yet")
        return
    head = ("run", "began", "took", "outcome", "from batch", "to batch", "rows", "retries", "message")
    for line in table(head, [_run_cells(run) for run in runs]):
        out(line)


def failures(
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    full: Annotated[bool, typer.Option("--full", help="With the traceback.")] = False,
    limit: Limit = 20,
) -> None:
    """List the failures, newest first.

    Each is a batch that ended a run: the error, the rows that it names, what to do.
    """
    with place(target, checkpoint_dir).checkpoint.open() as store:
        records = store.history.failures(limit) if store else []
    if not records:
        say("no failures")
    for record in records:
        for line in record_in_words(record, full=full):
            out(line)


def _status(where: Place, standing: "Standing") -> Iterator[str]:
    frontier = standing.frontier
    source_rows = None if standing.held_by else _source_rows(where)
    done = frontier.total_rows_processed
    to_go = None if source_rows is None else max(source_rows - done, 0)
    share = f" ({percent(min(done / source_rows, 1.0))})" if source_rows else ""
    yield f"state         {standing.state}"
    if standing.held_by:
        yield f"held by       {safe(standing.held_by)}"
    if where.pipeline is not None:
        yield f"source        {safe(where.pipeline.source)}"
        for title, sink in zip(_titles("sinks"), where.pipeline.sinks, strict=False):
            yield f"{title}{safe(sink.name)}"
    yield f"checkpoint    {safe(str(where.folder))}"
    yield f"frontier      {frontier_in_words(frontier.last_completed_batch_id, done, to_go)}{share}"
    for title, (name, batch_id) in zip(_titles("steps"), frontier.step_states.items(), strict=False):
        yield f"{title}{safe(name, _NAME)}: batch {batch_id}"
    if standing.rows_quarantined:
        yield f"quarantine    {counted(standing.rows_quarantined, 'row')}; see {_quarantine_command(where)}"
    number, byte_count = where.checkpoint.parts_size()
    yield f"results       {counted(number, 'part')}, {size(byte_count)}{_result_rows(where, standing)}"
    if remote := where.checkpoint.layout.remote:
        yield f"              in {remote}"
    for run in standing.runs:
        took = duration((run.ended_at - run.started_at).total_seconds()) if run.ended_at else "an unknown time"
        yield f"last run      {run.run_id}: {run.state.outcome}, began {instant(run.started_at)}, took {took}"
    for failure in standing.failures:
        yield f"last failure  run {failure.run_id}, batch {failure.batch_id}: {safe(failure.message, _MESSAGE)}"


def _quarantine_command(where: Place) -> str:
    from engine.cli.run_and_report import quarantine_command

    return quarantine_command(where.folder)


def _titles(first: str) -> Iterator[str]:
    yield first.ljust(14)
    while True:
        yield " " * 14


def _result_rows(where: Place, standing: "Standing") -> str:
    if standing.held_by:
        return ""
    with where.checkpoint.open() as store:
        return f", {counted(store.result_row_count(), 'row')}" if store else ""


def _source_rows(where: Place) -> int | None:
    """Return the size of the source; None when nobody knows, or the source can't be looked at."""
    if where.pipeline is None:
        return None
    try:
        return where.pipeline.refresh().info.source_rows
    except PipelineError as error:
        say(f"the source can't be looked at: {safe(str(error))}")
        return None


def _run_cells(run: "RunRecord") -> tuple[str, ...]:
    took = duration((run.ended_at - run.started_at).total_seconds()) if run.ended_at else ""
    last = "" if run.next_batch_id is None or run.next_batch_id <= run.first_batch_id else str(run.next_batch_id - 1)
    rows = "" if run.rows_done is None else f"{run.rows_done:,}"
    return (
        str(run.run_id),
        instant(run.started_at),
        took,
        run.state.outcome,
        str(run.first_batch_id),
        last,
        rows,
        "" if run.retries is None else f"{run.retries:,}",
        run.message,
    )
