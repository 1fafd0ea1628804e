"""`batch-pipeline status`: the state of a pipeline, and how far it is."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.cli.sentences import frontier_in_words, list_quarantine
from engine.cli.streams import print_message, print_result
from engine.cli.targets import CheckpointDir, OptionalTarget, open_checkpoint
from engine.errors import PipelineError
from engine.text.format import counted, duration, instant, percent, size
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine import BatchPipeline, CheckpointStatus, CheckpointView

_NAME_WIDTH, _MESSAGE_WIDTH = 40, 300


def status(target: OptionalTarget = None, *, checkpoint_dir: CheckpointDir = None) -> None:
    """Show the state of a pipeline, and how far it is.

    Works while another process runs it.
    """
    view = open_checkpoint(target, checkpoint_dir)
    title_before = ""
    for title, text in _fields(view, view.status()):
        print_result(f"{'' if title == title_before else title:<14}{text}")
        title_before = title


def _fields(view: "CheckpointView", status: "CheckpointStatus") -> Iterator[tuple[str, str]]:
    """Yield titles with their texts; a title that is the same as the one before is not repeated on the screen."""
    from engine import BatchPipeline

    frontier, source_rows = status.frontier, None
    yield "state", status.state
    if status.held_by:
        yield "held by", safe(status.held_by)
    if isinstance(view, BatchPipeline):
        source_rows = None if status.held_by else _source_rows(view)
        yield "source", safe(view.source)
        for sink in view.sinks:
            yield "sinks", safe(sink.name)
    yield "checkpoint", safe(str(view.checkpoint_dir))
    done = frontier.total_rows_processed
    to_go = None if source_rows is None else max(source_rows - done, 0)
    share = f" ({percent(done / source_rows)})" if source_rows else ""
    yield "frontier", frontier_in_words(frontier.last_completed_batch_id, done, to_go) + share
    for name, batch_id in frontier.step_states.items():
        yield "steps", f"{safe(name, _NAME_WIDTH)}: batch {batch_id}"
    if status.rows_quarantined:
        see = list_quarantine(view.checkpoint_dir)
        yield "quarantine", f"{counted(status.rows_quarantined, 'row')}; see {see}"
    rows = f", {counted(status.result_rows, 'row')}"
    yield "results", f"{counted(status.parts, 'part')}, {size(status.part_bytes)}{rows}"
    if status.results_url:
        yield "results", f"in {status.results_url}"
    for run in status.runs:
        took = duration((run.ended_at - run.started_at).total_seconds()) if run.ended_at else "an unknown time"
        yield "last run", f"{run.run_id}: {run.state.outcome}, began {instant(run.started_at)}, took {took}"
    for failure in status.failures:
        words = safe(failure.message, _MESSAGE_WIDTH)
        yield "last failure", f"run {failure.run_id}, batch {failure.batch_id}: {words}"


def _source_rows(pipeline: "BatchPipeline") -> int | None:
    """Return the size of the source; None if it is unknown, or if the source can't be read."""
    try:
        return pipeline.refresh().info.source_rows
    except PipelineError as error:
        print_message(f"the source can't be read: {safe(str(error))}")
        return None
