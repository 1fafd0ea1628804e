"""The resume rules: where a run continues, and when it is refused. Decided from values.

nothing changed            continue from the frontier, with the fetcher at the committed cursor
batch size                 allowed for a seekable fetcher; refused for a plain callable, whose address is id × size
steps or source            refused with the differences, unless the caller accepts them
the source has grown       seekable: continue from the cursor; plain callable: do a short last batch again
its last row has grown     do the last batch again
the source has shrunk      refused; a plain callable is called for the last batch again to find this out
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import FetchFailed, PipelineChanged, SourceChanged, SourceContractBroken, raised_as
from engine.runs.fingerprint import differences
from engine.sources.base import Position, SeekableFetcher, answer_problem, as_batch

if TYPE_CHECKING:
    from engine.checkpoint.parts.manifest import Manifest
    from engine.sources.base import BatchFetcher


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a run starts. `replaces_last` says whether it does the last committed batch again."""

    position: Position
    replaces_last: bool = False


def refuse_changes(recorded: str | None, current: str, *, seekable: bool, accept: bool, started: bool) -> bool:
    """Return whether the pipeline is new or has changed since it was recorded.

    `started` says whether any batch is committed; before that no change can mix two kinds of results.

    Raises:
        PipelineChanged: a change would mix two kinds of results, and `accept` is False; or the batch size of a plain
            callable has changed.
    """
    if recorded is None:
        return True
    if not started:
        return recorded != current
    size, old_size = json.loads(current)["batch_size"], json.loads(recorded)["batch_size"]
    if size != old_size and not seekable:
        raise PipelineChanged(
            [f"the batch size is {size:,}, was {old_size:,}"],
            hint=f"A plain callable finds its rows by batch id times batch size: use batch_size={old_size}, or start "
            "over with a reset.",
        )
    lines = differences(recorded, current)
    if lines and not accept:
        raise PipelineChanged(
            lines,
            hint="Go on with the new pipeline from the frontier (run with --accept-changes, or "
            "accept_changes=True), rewind to the batch where the change should begin, or reset.",
        )
    return recorded != current


def next_position(last: Manifest | None) -> Position:
    """Return the position after the last committed batch, the start of the source if there is none."""
    return Position() if last is None else Position(last.batch_id + 1, last.end_row + 1, last.cursor)


def resume_point(
    fetcher: BatchFetcher, batch_size: int, last: Manifest | None, *, before: Manifest | None = None
) -> ResumePoint:
    """Return where the run starts, given the last committed batch, and the one `before` it.

    Raises:
        SourceChanged: the last batch has become smaller, has moved, or is missing.
        SourceNotFound: from a seekable source.
        FetchFailed, SourceContractBroken: from a plain callable. It is called for the last batch again: that is the
            only way to find out whether its source is still the one that was committed.
    """
    onward = ResumePoint(next_position(last))
    if last is None:
        return onward
    if isinstance(fetcher, SeekableFetcher):
        with raised_as(partial(FetchFailed, last.batch_id)):
            row = None if last.cursor is None else fetcher.continued_from(last.cursor)
        if row is None:
            return onward
        if row < last.start_row:
            raise SourceChanged(
                f"rows from {row:,} on were read before they were complete, in a batch before the last one",
                hint="Rewind to a batch before that row, and run again.",
            )
        return ResumePoint(next_position(before), replaces_last=True)
    with raised_as(partial(FetchFailed, last.batch_id)):
        batch = as_batch(fetcher(last.batch_id, batch_size), last.batch_id, batch_size)
    broken = "" if batch is None else answer_problem(batch, last.batch_id)
    if broken:
        raise SourceContractBroken(last.batch_id, broken)
    rows = batch.size if batch else 0
    if rows < last.rows_in or (batch and batch.start_row != last.start_row):
        found = f"{rows:,} from row {batch.start_row:,} on" if batch else "none"
        raise SourceChanged(
            f"batch {last.batch_id} was committed with {last.rows_in:,} rows from row {last.start_row:,} on, "
            f"and the source now gives {found}"
        )
    if rows == last.rows_in:
        return onward
    return ResumePoint(Position(last.batch_id, last.start_row), replaces_last=True)
