"""One view of a run as one line: a bar for a screen, counters for a log, and sentences. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine import RunState
from engine.cli.sentences import frontier_in_words
from engine.text.format import compact, counted, duration, eta, next_attempt, percent, refusing
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine import RunView

_MIN_WIDTH, _MAX_WIDTH = 10, 40


@dataclass(frozen=True, slots=True)
class BarStyle:
    """The characters of the bar, and the codes before and after its done part, empty without colour."""

    done: str = "━"
    to_do: str = "─"
    colour: str = ""
    plain: str = ""


UNICODE = BarStyle()
ASCII = BarStyle(done="#", to_do="-")
GREEN, PLAIN = "\x1b[32m", "\x1b[0m"


def bar(view: RunView, columns: int, style: BarStyle = UNICODE) -> str:
    """Return the progress line for a screen of `columns` columns: one line, shorter than that."""
    texts = [f"{view.rows_committed:,} rows"]
    if view.info.source_rows is not None:
        estimated = "" if view.info.source_rows_exact else "~"
        texts = [f"{view.rows_committed:,}/{estimated}{view.info.source_rows:,} rows"]
    texts.append(f"{compact(_rows_per_second(view))} rows/s")
    if view.state.is_live and view.eta_seconds is not None:
        texts.append(f"eta {eta(view.eta_seconds)}")
    texts.append(counted(view.frontier + 1, "batch"))
    if view.rows_quarantined:
        texts.append(f"{view.rows_quarantined:,} in quarantine")
    if view.retries:
        texts.append(_retrying(view))
    if view.fraction is None:
        return "  ".join(texts)[: columns - 1]
    texts.insert(0, f"{percent(view.fraction):>6}")
    text = "  ".join(texts)
    width = min(columns - len(text) - 3, _MAX_WIDTH)
    if width < _MIN_WIDTH:
        return text[: columns - 1]
    done = int(view.fraction * width)
    return f"{style.colour}{style.done * done}{style.plain}{style.to_do * (width - done)} {text}"


def counters(view: RunView) -> str:
    """Return the same for a log, as a sentence.

    >>> from engine import RunView
    >>> from engine.events import RunInfo
    >>> info = RunInfo(source_rows=336_776)
    >>> counters(RunView(info=info, rows_committed=210_000, fraction=0.6236, frontier=20))
    '21 batches, 210,000 of 336,776 rows (62.3%), 0 rows/s'
    """
    of = "" if view.info.source_rows is None else f" of {view.info.source_rows:,}"
    share = "" if view.fraction is None else f" ({percent(view.fraction)})"
    to_go = f", eta {eta(view.eta_seconds)}" if view.state.is_live and view.eta_seconds is not None else ""
    quarantined = f", {counted(view.rows_quarantined, 'row')} in quarantine" if view.rows_quarantined else ""
    retrying = f", {_retrying(view)}" if view.retries else ""
    return (
        f"{counted(view.frontier + 1, 'batch')}, {view.rows_committed:,}{of} rows{share}, "
        f"{compact(_rows_per_second(view))} rows/s{to_go}{quarantined}{retrying}"
    )


def _retrying(view: RunView) -> str:
    """Return what the first of the batches that wait for a retry waits for, and how many others there are."""
    first, more = view.retries[0], len(view.retries) - 1
    words = next_attempt(first.attempt, first.max_attempts, first.seconds_until_next)
    others = f" and {counted(more, 'other')}" if more else ""
    return f"batch {first.batch_id}: {words}{others}"


def _rows_per_second(view: RunView) -> float:
    """Return the latest rows per second; after the end, those of the whole run."""
    return view.rows_per_second if view.state.is_live else view.average_rows_per_second


def beginning(view: RunView) -> str:
    """Return what a run that has just started will do; empty if nothing is left to do.

    >>> from engine import RunView
    >>> from engine.events import RunInfo
    >>> info = RunInfo(source_rows=336_776)
    >>> beginning(RunView(info=info, batches_committed_before=21, rows_committed_before=210_000))
    'resuming at batch 21: 210,000 rows done, 126,776 to go'
    >>> beginning(RunView(info=info))
    'starting at batch 0: 336,776 rows to go'
    >>> beginning(RunView(info=RunInfo(checkpoint_dir="/data/checkpoints")))
    'starting at batch 0; the checkpoint is in /data/checkpoints'
    """
    before, rows = view.batches_committed_before, view.rows_committed_before
    to_go = None if view.info.source_rows is None else view.info.source_rows - rows
    if to_go == 0 and view.info.source_rows_exact:
        return ""
    if before == 0:
        # The folder, because a run from another working folder may start again where nobody looks for it.
        where = f"; the checkpoint is in {safe(view.info.checkpoint_dir)}" if view.info.checkpoint_dir else ""
        return "starting at batch 0" + ("" if to_go is None else f": {to_go:,} rows to go") + where
    return f"resuming at batch {before}: {rows:,} rows done" + ("" if to_go is None else f", {to_go:,} to go")


def stopping(view: RunView) -> str:
    """Return what a requested stop is waiting for."""
    if view.stop_now:
        return "stopping now: dropping the batches in flight; what is committed stays"
    return "stopping after the batches in flight" + (f" ({view.batches_in_flight})" if view.batches_in_flight else "")


def finished(view: RunView) -> str:
    """Return how a run ended that has reached the end of its source."""
    if view.frontier < 0:
        return "nothing to do: the source has no rows"
    if view.batches_committed_in_run == 0:
        return f"nothing to do: finished, {counted(view.rows_committed, 'row')}"
    return (
        f"finished: {counted(view.rows_committed, 'row')} in {counted(view.frontier + 1, 'batch')}, "
        f"{duration(view.elapsed_seconds)} for this run"
    )


def quarantined(view: RunView) -> str:
    """Return how many rows were put into quarantine, and the latest error; empty if this run has put none there."""
    latest = view.latest_quarantined
    if latest is None or not view.rows_quarantined:
        return ""
    return (
        f"{counted(view.rows_quarantined, 'row')} in quarantine so far; batch {latest.batch_id}, "
        f"{refusing(latest.step)}: {latest.error}"
    )


def quarantine_at_end(view: RunView, command: str) -> Iterator[str]:
    """Yield, at the end of a run, that rows are missing in the results, and `command`, which lists them.

    >>> from engine import RunView
    >>> list(quarantine_at_end(RunView(state=RunState.INCOMPLETE, rows_quarantined=12), "batch-pipeline ..."))
    ['finished, but 12 rows are in quarantine: batch-pipeline ...']
    """
    if view.rows_quarantined:
        how = "finished, but " if view.state is RunState.INCOMPLETE else ""
        are = "is" if view.rows_quarantined == 1 else "are"
        yield f"{how}{counted(view.rows_quarantined, 'row')} {are} in quarantine: {command}"


def stopped(view: RunView) -> str:
    """Return where a run has stopped, and how to continue."""
    where = frontier_in_words(view.frontier, view.rows_committed, view.rows_to_go)
    return f"stopped, resumable. Frontier: {where}. The same command continues from there."
