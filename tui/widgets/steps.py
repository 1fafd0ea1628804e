"""The steps: one row each with its frontier, the sinks, and below them the row of what is committed.

`step_lines` is a pure function of the view; the widget only puts it on the screen. The header and the committed row
stay in place when there are more steps than lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len

from engine.state import RunState
from engine.text.format import NONE, compact, count, next_attempt, percent, rows_per_second
from engine.text.terminal_safe import safe
from tui.widgets.drawing.bar import bar
from tui.widgets.drawing.line import NO_LINE, Line, cropped, fit, restyled, spread
from tui.widgets.drawing.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.events import FailureRecord
    from engine.progress.view import Retrying, RunView, SinkView, StepView
    from tui.look.glyphs import Glyphs

COMMITTED = "committed"
_GAP = "  "
_BAR_LEAST = 8
_NAME_LEAST = 9
_PERCENT = 5
_RATE = 6


class StepsPane(Pane["RunView"]):
    """Every step's frontier, batch, share, lag and pace."""

    TITLE = "1 Steps"
    PINNED_TOP: ClassVar[int] = 1
    PINNED_BOTTOM: ClassVar[int] = 1

    def show(self, view: RunView) -> None:
        """Show the steps as they are."""
        self.accept(view)

    def draw(self, shown: RunView, width: int, height: int) -> list[Line]:
        """Return the header, a line a step, and the committed line; the header gives its line to the last step."""
        lines = step_lines(shown, width, self.glyphs)
        return lines[1:] if len(lines) == height + 1 and not source_trouble(shown, self.glyphs) else lines

    def footing(self, shown: RunView | None, width: int) -> Line:
        """Return the overall share, or the rows when nobody knows of how many."""
        if shown is None or width < len("overall 62.4%"):
            return NO_LINE
        if shown.fraction is None:
            return ((f"{count(shown.rows_committed)} rows, size unknown", ""),)
        return ((f"overall {percent(shown.fraction)}", ""),)


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells; 0 where there is no room for a column."""

    name: int
    bar: int
    batch: int
    share: int
    lag: int
    rate: int

    @property
    def numbers(self) -> tuple[int, ...]:
        """The columns right of the bar that are there."""
        return tuple(width for width in (self.batch, self.share, self.lag, self.rate) if width)


def columns(view: RunView, width: int) -> Columns:
    """Return the widths for so many cells: the least needed columns go first, the bar gets what is left."""
    names = max([cell_len(COMMITTED), *(cell_len(safe(step.name, 100)) for step in view.steps)])
    name = max(_NAME_LEAST, min(names, width // 4))
    batch = max([len("batch"), len(count(view.frontier)), *(len(count(step.frontier)) for step in view.steps)])
    lag = max([len("lag"), *(len(count(-step.lag)) for step in view.steps)])
    numbers = [batch, _PERCENT, lag, _RATE]
    for dropped in (None, 2, 3, 0):
        if dropped is not None:
            numbers[dropped] = 0
        room = width - 2 - name - sum(len(_GAP) + number for number in numbers if number) - len(_GAP)
        if room >= _BAR_LEAST:
            return Columns(name, room, *numbers)
    left = width - 2 - 2 * len(_GAP) - _PERCENT
    return Columns(left, 0, 0, _PERCENT, 0, 0) if left > 1 else Columns(max(1, width - 2 - len(_GAP)), 0, 0, 0, 0, 0)


def step_lines(view: RunView, width: int, glyphs: Glyphs) -> list[Line]:
    """Return the header, one line a step, and the committed line."""
    widths = columns(view, width)
    failure = failure_of(view)
    earlier = view.rows_committed_before / view.info.source_rows if view.info.source_rows else 0.0
    style = "good" if view.state.is_finished else "run"
    lines = [_header(view, widths, width, glyphs)]
    for step in view.steps:
        retries = [retry for retry in view.retries if retry.step == step.name]
        has_failed = failure is not None and failure.step == step.name
        row = _row(step, widths, glyphs, earlier, style)
        if has_failed and failure is not None:
            row = _overlaid(row, widths, width - 2, f"failed at {failure.batch_id:,}", "bad")
        elif retries:
            row = _overlaid(row, widths, width - 2, f"{glyphs.retry} {retry_words(retries)}", "warn")
        mark = (glyphs.failed, "bad") if has_failed else (glyphs.retry, "warn") if retries else (" ", "")
        lines.append((mark, (" ", ""), *row))
    lines += [_sink_line(sink, view, widths, width, glyphs) for sink in view.sinks]
    return [*lines, _committed(view, widths, glyphs, earlier)]


def _sink_line(sink: SinkView, view: RunView, widths: Columns, width: int, glyphs: Glyphs) -> Line:
    """Return where a sink stands: it has no share and no pace of its own, since it follows what is committed."""
    failure = failure_of(view)
    retries = [retry for retry in view.retries if retry.step == sink.name]
    name = fit(safe(sink.name), widths.name + len(_GAP) + widths.bar, ellipsis=glyphs.ellipsis)
    row: Line = (("", ""), (name, "muted"), (_numbers(widths, (_batch(sink.frontier), "", "", "")), ""))
    if failure is not None and failure.step == sink.name:
        row = _overlaid(row, widths, width - 2, f"failed at {failure.batch_id:,}", "bad")
        return ((glyphs.failed, "bad"), (" ", ""), *row)
    if retries:
        row = _overlaid(row, widths, width - 2, f"{glyphs.retry} {retry_words(retries)}", "warn")
        return ((glyphs.retry, "warn"), (" ", ""), *row)
    return (("  ", ""), *row)


def retry_words(retries: Sequence[Retrying]) -> str:
    """Return which try comes next, and when: of several, the one that is due first."""
    first = min(retries, key=lambda retry: retry.seconds_until_next)
    others = f" +{len(retries) - 1}" if len(retries) > 1 else ""
    return next_attempt(first.attempt, first.max_attempts, first.seconds_until_next) + others


def source_trouble(view: RunView, glyphs: Glyphs) -> Line:
    """Return how the source failed, or that it is tried again; empty when it is well."""
    failure = failure_of(view)
    if failure is not None and failure.step is None:
        return ((f"{glyphs.failed} source failed at {failure.batch_id:,}", "bad"),)
    retries = [retry for retry in view.retries if retry.step is None]
    return ((f"{glyphs.retry} source {retry_words(retries)}", "warn"),) if retries else NO_LINE


def failure_of(view: RunView) -> FailureRecord | None:
    """Return what made the pipeline fail, None when it hasn't."""
    return view.failures[-1] if view.state is RunState.FAILED and view.failures else None


def _header(view: RunView, widths: Columns, width: int, glyphs: Glyphs) -> Line:
    """Return the column names; the source has no row, so its troubles stand here."""
    share = "%" if view.info.source_rows is not None else "rows"
    numbers: Line = ((_numbers(widths, ("batch", share, "lag", "rows/s")), "muted"),)
    bar_name = fit("frontier", widths.bar, ellipsis=glyphs.ellipsis)
    names: Line = ((f"  {' ' * widths.name}{_GAP}{bar_name}", "muted"),)
    return spread(source_trouble(view, glyphs) or names, numbers, width)


def _row(step: StepView, widths: Columns, glyphs: Glyphs, earlier: float, style: str) -> Line:
    share = percent(step.fraction) if step.fraction is not None else compact(step.rows)
    lag = count(-step.lag) if step.lag else ""
    rate = rows_per_second(step.rows_per_second) if step.rows_per_second else ""
    return (
        (fit(safe(step.name), widths.name, ellipsis=glyphs.ellipsis), ""),
        (_GAP, ""),
        *bar(step.fraction, earlier, widths.bar, glyphs, style),
        (_numbers(widths, (_batch(step.frontier), share, lag, rate)), ""),
    )


def _committed(view: RunView, widths: Columns, glyphs: Glyphs, earlier: float) -> Line:
    share = percent(view.fraction) if view.fraction is not None else compact(view.rows_committed)
    rate = rows_per_second(view.rows_per_second) if view.rows_per_second else ""
    row: Line = (
        (f"  {fit(COMMITTED, widths.name, ellipsis=glyphs.ellipsis)}{_GAP}", "good"),
        *bar(view.fraction, earlier, widths.bar, glyphs, "good"),
        (_numbers(widths, (_batch(view.frontier), share, "", rate)), ""),
    )
    return (*row[:-1], *restyled(row[-1:], "strong"))


def _batch(frontier: int | None) -> str:
    return NONE if frontier is None or frontier < 0 else count(frontier)


def _numbers(widths: Columns, cells: tuple[str, str, str, str]) -> str:
    every = zip((widths.batch, widths.share, widths.lag, widths.rate), cells, strict=True)
    return "".join(_GAP + fit(text, width, right=True) for width, text in every if width)


def _overlaid(row: Line, widths: Columns, width: int, words: str, style: str) -> Line:
    """Return the row ending in words instead of numbers; the batch stays in its place, or else the bar gives way."""
    numbers = row[-1][0]
    batch = len(_GAP) + widths.batch
    if widths.batch and len(numbers) - batch >= len(_GAP) + cell_len(words):
        return spread((*row[:-1], (numbers[:batch], "")), ((words, style),), width)
    return spread(cropped(row[:-1], width - len(_GAP) - cell_len(words), ""), ((words, style),), width)
