"""Whether bad rows may be taken out of the batch that failed, and if not, why: the rule behind the quarantine key.

It is a guess from what is known of the failure; the engine decides when it tries. The reasons may hold text from
errors, which is not escaped yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.text.format import SOURCE
from tui.actions import key_of
from tui.widgets.drawing.describe import failure_reason
from tui.widgets.steps import blocking_failure

if TYPE_CHECKING:
    from collections.abc import Collection

    from engine import RunView
    from engine.events import FailureRecord

QUARANTINE_FULL = "QuarantineFull"
ROWS_UNREADABLE = "RowsUnreadable"


def why_no_quarantine(view: RunView, stopping: Collection[str] = ()) -> str:
    """Return why no rows can be taken out of the batch that failed; empty when that is possible.

    `stopping` are the steps that declare that a bad row stops the run.
    """
    failure = blocking_failure(view)
    if failure is None:
        return "No batch has failed, so there are no rows to take out."
    if failure.error_type == ROWS_UNREADABLE:
        return ""
    if failure.step is None:
        return f"No step failed, so there are no rows to take out. {key_of('retry')} tries again."
    return _why_no_quarantine_of(failure, view, stopping)


def _why_no_quarantine_of(failure: FailureRecord, view: RunView, stopping: Collection[str]) -> str:
    if failure.step in {sink.name for sink in view.sinks}:
        return (
            f"Batch {failure.batch_id:,} is committed, but not to {failure.step}. {key_of('retry')} delivers it again."
        )
    if failure.error_type == QUARANTINE_FULL:
        what = SOURCE if failure.step == SOURCE else "step"
        return (
            f"{failure_reason(failure.message)} To take out more, say so in the pipeline: "
            f"on_error=Quarantine(max_rows=…, max_fraction=…). Otherwise fix the {what}; {key_of('retry')} continues."
        )
    if failure.step in stopping:
        return f"Step {failure.step} has on_error='stop': it declares that a bad row stops the run."
    if failure.start_row is None:  # not set up, another schema, no batch returned: the rows are not the reason
        return f"Step {failure.step} failed as a whole, not at rows. Fix it; {key_of('retry')} continues."
    return ""
