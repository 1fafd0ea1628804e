"""One view of a run as one line: a bar for a screen, counters for a log, and the sentences around them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.cli.sentences import frontier_in_words
from engine.state import RunState
from engine.text.format import compact, counted, duration, eta, next_attempt, percent

if TYPE_CHECKING:
    from engine.progress import RunView

_LEAST_BAR, _MOST_BAR = 10, 40


@dataclass(frozen=True, slots=True)
class Look:
    """The characters of the bar, and the codes around its done part; none without colour."""

    done: str = "━"
    to_do: str = "─"
    colour: str = ""
    plain: str = ""


UNICODE = Look()
ASCII = Look(done="#", to_do="-")
GREEN, PLAIN = "\x1b[32m", "\x1b[0m"


def bar(view: RunView, columns: int, look: Look = UNICODE) -> str:
    """Return the progress line for a screen that is `columns` wide; shorter than that, one line."""
    texts = [f"{view.rows_committed:,} rows"]
    if view.info.source_rows is not None:
        about = "" if view.info.source_rows_exact else "~"
        texts = [f"{view.rows_committed:,}/{about}{view.info.source_rows:,} rows"]
    texts.append(f"{compact(_pace(view))} rows/s")
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
    width = min(columns - len(text) - 3, _MOST_BAR)
    if width < _LEAST_BAR:
        return text[: columns - 1]
    done = int(view.fraction * width)
    return f"{look.colour}{look.done * done}{look.plain}{look.to_do * (width - done)} {text}"


def counters(view: RunView) -> str:
    """Return the same for a log: a sentence that stands alone.

    >>> from engine.events import RunInfo
    >>> from engine.progress import RunView
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
        f"{compact(_pace(view))} rows/s{to_go}{quarantined}{retrying}"
    )


def _retrying(view: RunView) -> str:
    """Return what is known of the oldest batch that is being tried again, and how many others are."""
    first, more = view.retries[0], len(view.retries) - 1
    words = next_attempt(first.attempt, first.max_attempts, first.seconds_until_next)
    others = f" and {counted(more, 'other')}" if more else ""
    return f"batch {first.batch_id}: {words}{others}"


def _pace(view: RunView) -> float:
    """Return the rows per second of lately, or of the whole run once it is over."""
    return view.rows_per_second if view.state.is_live else view.average_rows_per_second


def beginning(view: RunView) -> str:
    """Return what a run that has just begun is about to do; empty when nothing is left to do.

    >>> from engine.events import RunInfo
    >>> from engine.progress import RunView
    >>> info = RunInfo(source_rows=336_776)
    >>> beginning(RunView(info=info, batches_committed_before=21, rows_committed_before=210_000))
    'going on at batch 21: 210,000 rows done, 126,776 to go'
    >>> beginning(RunView(info=info))
    'starting at batch 0: 336,776 rows to go'
    """
    before, rows = view.batches_committed_before, view.rows_committed_before
    to_go = None if view.info.source_rows is None else view.info.source_rows - rows
    if to_go == 0 and view.info.source_rows_exact:
        return ""
    if before == 0:
        return "starting at batch 0" + ("" if to_go is None else f": {to_go:,} rows to go")
    return f"going on at batch {before}: {rows:,} rows done" + ("" if to_go is None else f", {to_go:,} to go")


def stopping(view: RunView) -> str:
    """Return what a requested stop is waiting for."""
    if view.stop_now:
        return "stopping now: giving up what is in flight; what is committed stays"
    in_flight = f" ({counted(view.batches_in_flight, 'batch')})" if view.batches_in_flight else ""
    return f"stopping after what is in flight{in_flight}"


def finished(view: RunView) -> str:
    """Return how a run ended that came to the end of its source."""
    if view.frontier < 0:
        return "nothing to do: the source has no rows"
    if view.batches_committed_in_run == 0:
        return f"nothing to do: finished, {counted(view.rows_committed, 'row')}"
    return (
        f"finished: {counted(view.rows_committed, 'row')} in {counted(view.frontier + 1, 'batch')}, "
        f"{duration(view.elapsed_seconds)} for this run"
    )


def quarantined(view: RunView) -> str:
    """Return what was taken out of the results so far, and why the latest of it was; empty when nothing was."""
    latest = view.latest_quarantined
    if latest is None or not view.rows_quarantined:
        return ""
    return (
        f"{counted(view.rows_quarantined, 'row')} in quarantine so far; batch {latest.batch_id}, "
        f"step '{latest.step}': {latest.error}"
    )


def loss(view: RunView, command: str) -> str:
    """Return, for the end of a run, that rows are missing from the results; empty when none is.

    >>> from engine.progress import RunView
    >>> loss(RunView(state=RunState.INCOMPLETE, rows_quarantined=12), "batch-pipeline quarantine list")
    'finished, but 12 rows are in quarantine: batch-pipeline quarantine list'
    """
    if not view.rows_quarantined:
        return ""
    how = "finished, but " if view.state is RunState.INCOMPLETE else ""
    are = "is" if view.rows_quarantined == 1 else "are"
    return f"{how}{counted(view.rows_quarantined, 'row')} {are} in quarantine: {command}"


def stopped(view: RunView) -> str:
    """Return where a run stopped that was told to."""
    where = frontier_in_words(view.frontier, view.rows_committed, view.rows_to_go)
    return f"stopped, resumable. Frontier: {where}. The same command goes on from there."
