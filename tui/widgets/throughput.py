"""How fast it goes: the rate now, two minutes of history, batch times, and what it costs in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.text.format import NONE, compact, count, duration, size
from tui.widgets.drawing.chart import chart, grouped
from tui.widgets.drawing.line import NO_LINE, Line, as_many, centred, spread, width_of
from tui.widgets.drawing.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.progress.view import RunView

_GAP = ("  ", "")
_WIDE_GAP = ("   ", "")
_WORDS = 3
"""Lines of words around the chart."""


class ThroughputPane(Pane[tuple["RunView", int | None]]):
    """Rate, chart, batch times, batches in flight and memory."""

    TITLE = "2 Throughput"

    def show(self, view: RunView, memory_bytes: int | None) -> None:
        """Show the pace; None for memory that nobody could measure."""
        self.accept((view, memory_bytes))

    def draw(self, shown: tuple[RunView, int | None], width: int, height: int) -> list[Line]:
        """Return the rate on top, the chart over what height there is, and two lines of numbers."""
        view, memory_bytes = shown
        if view.run_id is None:
            return centred((("no run yet", "muted"),), width, height)
        # The last second is still going on: it would pull the last column down eight times a second.
        finished = view.throughput[:-1] if view.state.is_live else view.throughput
        each = _seconds_a_column(finished, width)
        averages = grouped(finished, each, int(view.elapsed_seconds) % each)[-width:]
        rows = chart(averages, width, max(0, height - _WORDS), self.glyphs.chart)
        lines = [
            _rate(view, max(averages, default=0), width, self.glyphs.ellipsis),
            *(((row, "bar-run"),) for row in rows),
            _times(view, width, self.glyphs.ellipsis),
            _load(view, memory_bytes, width, self.glyphs.ellipsis),
        ]
        return lines if height >= _WORDS else [lines[0], lines[-1]][:height]

    def footing(self, shown: tuple[RunView, int | None] | None, width: int) -> Line:
        """Return what the chart spans."""
        if shown is None or shown[0].run_id is None:
            return NO_LINE
        seconds = len(shown[0].throughput)
        words = f"last {duration(min(seconds, width * _seconds_a_column(shown[0].throughput, width)))}"
        return ((words, ""),) if len(words) <= width - 2 else NO_LINE


def _seconds_a_column(throughput: Sequence[int], width: int) -> int:
    """Return how many seconds a column stands for: as few as fill the width."""
    return max(1, len(throughput) // max(1, width))


def _rate(view: RunView, peak: float, width: int, ellipsis: str) -> Line:
    live = view.state.is_live
    rows = view.rows_per_second if live else view.average_rows_per_second
    batches = view.batches_per_second if live else view.average_batches_per_second
    rate: Line = (("" if live else "avg ", "muted"), (compact(rows), "strong"), (" rows/s", "muted"))
    in_batches: Line = ((compact(batches), ""), (" batches/s", "muted"))
    left = as_many([rate, in_batches], _WIDE_GAP, width, ellipsis)
    right: Line = (("   peak ", "faint"), (compact(peak), "muted")) if peak else NO_LINE
    return spread(left, right, width) if width_of(left) + width_of(right) <= width else left


def _times(view: RunView, width: int, ellipsis: str) -> Line:
    slowest = "" if view.slowest_batch_id is None else f" #{count(view.slowest_batch_id)}"
    named = (("p50", view.batch_seconds_p50), ("p95", view.batch_seconds_p95), ("max", view.batch_seconds_max))
    parts: list[Line] = [((f"{name} ", "muted"), (duration(seconds), "")) for name, seconds in named]
    parts[-1] = (*parts[-1], (slowest, "muted"))
    return as_many(parts, _GAP, width, ellipsis)


def _load(view: RunView, memory_bytes: int | None, width: int, ellipsis: str) -> Line:
    live = view.state.is_live
    in_flight: Line = (("in flight ", "muted"), (f"{view.batches_in_flight}/{view.info.window}" if live else NONE, ""))
    memory: Line = NO_LINE if memory_bytes is None else (("memory ", "muted"), (size(memory_bytes), ""))
    if view.nodes is None:
        return as_many([part for part in (in_flight, memory) if part], _WIDE_GAP, width, ellipsis)
    cluster: Line = ((f"{view.nodes:,}", ""), (" node" if view.nodes == 1 else " nodes", "muted"))
    retries = view.retry_count
    tried_again: Line = ((f"{retries:,}", "warn"), (" retry" if retries == 1 else " retries", "muted"))
    parts = [in_flight, cluster, *([tried_again] if retries else []), *([memory] if memory else [])]
    return as_many(parts, _GAP, width, ellipsis)
