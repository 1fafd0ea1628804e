"""`batch-pipeline history` and `failures`: what the checkpoint has recorded about its runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.sentences import failure_in_words
from engine.cli.streams import print_message, print_result
from engine.cli.tables import table_lines
from engine.cli.targets import CheckpointDir, OptionalTarget, open_checkpoint
from engine.text.format import duration, instant

if TYPE_CHECKING:
    from engine import RunRecord

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="Maximum number, the newest first.")]


def history(target: OptionalTarget = None, *, checkpoint_dir: CheckpointDir = None, limit: Limit = 20) -> None:
    """List the runs, newest first."""
    runs = open_checkpoint(target, checkpoint_dir).history(limit)
    if not runs:
        print_message("no runs yet")
        return
    head = ("run", "began", "took", "outcome", "from batch", "to batch", "rows", "retries", "message")
    print_result(*table_lines(head, [_cells(run) for run in runs]))


def failures(
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    full: Annotated[bool, typer.Option("--full", help="With the traceback.")] = False,
    limit: Limit = 20,
) -> None:
    """List the failures, newest first.

    Each is a batch that ended a run: the error, the rows that it names, what to do next.
    """
    records = open_checkpoint(target, checkpoint_dir).failures(limit)
    if not records:
        print_message("no failures")
    for record in records:
        print_result(*failure_in_words(record, full=full))


def _cells(run: "RunRecord") -> tuple[str, ...]:
    last = "" if run.next_batch_id is None or run.next_batch_id <= run.first_batch_id else str(run.next_batch_id - 1)
    return (
        str(run.run_id),
        instant(run.started_at),
        duration((run.ended_at - run.started_at).total_seconds()) if run.ended_at else "",
        run.state.outcome,
        str(run.first_batch_id),
        last,
        "" if run.rows_done is None else f"{run.rows_done:,}",
        "" if run.retries is None else f"{run.retries:,}",
        run.message,
    )
