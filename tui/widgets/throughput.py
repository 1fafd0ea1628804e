"""The speed of the run: the current rate, two minutes of history, batch times, and the memory in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.text.format import NONE, compact, count, duration, size
from tui.widgets.drawing.line import NO_LINE, Line, join_fitting, line_width, spread_line
from tui.widgets.drawing.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.progress import RunView

_GAP = ("  ", "")
_WIDE_GAP = ("   ", "")
_WORDS = 3
"""Lines of words around the chart."""
_LEVELS = 8
"""In a cell of the chart."""


class ThroughputPane(Pane[tuple["RunView", int | None]]):
    """Rate, chart, batch times, batches in flight and memory."""

    TITLE = "Throughput"
    EMPTY = "no run yet"
    memory_bytes: int | None = None
    """The memory of this process, set before each `show`; None if it can't be measured."""

    def show(self, view: RunView) -> None:
        """Show the rates, and `memory_bytes`."""
        self.accept((view, self.memory_bytes))

    def draw(self, shown: tuple[RunView, int | None], width: int, height: int) -> list[Line]:
        """Return the rate on top, the chart over what height there is, and two lines of numbers."""
        view, memory_bytes = shown
        if view.run_id is None:
            return []
        # The current second is incomplete: with it, the last column would shrink and grow eight times a second.
        finished = view.throughput[:-1] if view.state.is_live else view.throughput
        each = _seconds_a_column(finished, width)
        averages = average_columns(finished, each, int(view.elapsed_seconds) % each)[-width:]
        rows = draw_chart(averages, width, max(0, height - _WORDS), self.glyphs.chart)
        lines = [
            _rate(view, max(averages, default=0), width, self.glyphs.ellipsis),
            *(((row, "bar-run"),) for row in rows),
            _times(view, width, self.glyphs.ellipsis),
            _load(view, memory_bytes, width, self.glyphs.ellipsis),
        ]
        return lines if height >= _WORDS else [lines[0], lines[-1]][:height]

    def footing(self, shown: tuple[RunView, int | None], width: int) -> tuple[str, ...]:
        """Return the time that the chart covers."""
        view, _ = shown
        seconds = min(len(view.throughput), width * _seconds_a_column(view.throughput, width))
        return (f"last {duration(seconds)}",) if view.run_id is not None else ()


def average_columns(values: Sequence[int], each: int, phase: int = 0) -> list[float]:
    """Return averages of groups of `each` values; the last group has `phase` values, or `each` if `phase` is 0.

    If `phase` grows with each new value, a group keeps its values as time passes, so that a chart moves by whole
    columns and doesn't flicker. The oldest values that don't fill a group are left out.

    >>> average_columns([9, 1, 3, 5, 7], 2), average_columns([9, 1, 3, 5, 7], 2, phase=1)
    ([2.0, 6.0], [5.0, 4.0, 7.0])
    """
    whole = len(values) - phase
    groups = [values[start : start + each] for start in range(whole % each, whole, each)]
    if phase:
        groups.append(values[whole:])
    return [sum(group) / len(group) for group in groups if group]


def draw_chart(values: Sequence[float], width: int, height: int, glyphs: str) -> list[str]:
    """Return `height` lines of `width` cells, the latest value at the right, the greatest as high as the block.

    `glyphs` goes from nothing to a full cell in nine. A value above zero shows at least the lowest glyph.

    >>> draw_chart([1, 8, 16], 4, 2, " 12345678")
    ['   8', ' 188']
    """
    top = max(values, default=0)
    shown = list(values)[-width:] if width > 0 else []
    levels = [max(1, round(value / top * height * _LEVELS)) if value > 0 else 0 for value in shown]
    padding = " " * (width - len(shown))
    return [
        padding + "".join(glyphs[min(_LEVELS, max(0, level - row * _LEVELS))] for level in levels)
        for row in reversed(range(height))
    ]


def _seconds_a_column(throughput: Sequence[int], width: int) -> int:
    """Return how many seconds one column covers: as few as fill the width."""
    return max(1, len(throughput) // max(1, width))


def _rate(view: RunView, peak: float, width: int, ellipsis: str) -> Line:
    live = view.state.is_live
    rows = view.rows_per_second if live else view.average_rows_per_second
    batches = view.batches_per_second if live else view.average_batches_per_second
    rate: Line = (("" if live else "avg ", "muted"), (compact(rows), "strong"), (" rows/s", "muted"))
    in_batches: Line = ((compact(batches), ""), (" batches/s", "muted"))
    left = join_fitting([rate, in_batches], _WIDE_GAP, width, ellipsis)
    right: Line = (("   peak ", "faint"), (compact(peak), "muted")) if peak else NO_LINE
    return spread_line(left, right, width) if line_width(left) + line_width(right) <= width else left


def _times(view: RunView, width: int, ellipsis: str) -> Line:
    slowest = "" if view.slowest_batch_id is None else f" #{count(view.slowest_batch_id)}"
    named = (("p50", view.batch_seconds_p50), ("p95", view.batch_seconds_p95), ("max", view.batch_seconds_max))
    parts: list[Line] = [((f"{name} ", "muted"), (duration(seconds), "")) for name, seconds in named]
    parts[-1] = (*parts[-1], (slowest, "muted"))
    return join_fitting(parts, _GAP, width, ellipsis)


def _load(view: RunView, memory_bytes: int | None, width: int, ellipsis: str) -> Line:
    live = view.state.is_live
    in_flight: Line = (("in flight ", "muted"), (f"{view.batches_in_flight}/{view.info.window}" if live else NONE, ""))
    memory: Line = NO_LINE if memory_bytes is None else (("memory ", "muted"), (size(memory_bytes), ""))
    if view.nodes is None:
        return join_fitting([part for part in (in_flight, memory) if part], _WIDE_GAP, width, ellipsis)
    cluster: Line = ((f"{view.nodes:,}", ""), (" node" if view.nodes == 1 else " nodes", "muted"))
    retries = view.retry_count
    tried_again: Line = ((f"{retries:,}", "warn"), (" retry" if retries == 1 else " retries", "muted"))
    parts = [in_flight, cluster, *([tried_again] if retries else []), *([memory] if memory else [])]
    return join_fitting(parts, _GAP, width, ellipsis)
