"""The steps: one row each with its frontier, the sinks, and below them the row of what is committed.

`step_lines` is a pure function of the view; the widget only puts it on the screen. The header and the committed row
stay in place when there are more steps than lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from engine import RunState
from engine.text.format import NONE, compact, count, next_attempt, percent, rows_per_second
from engine.text.terminal_safe import safe
from tui.widgets.drawing.line import Line, crop_line, fit_text, spread_line
from tui.widgets.drawing.pane import Pane
from tui.widgets.drawing.table import GAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import FailureRecord
    from engine.progress import Retrying, RunView, StepView
    from tui.look.glyphs import Glyphs
    from tui.widgets.drawing.line import Part

COMMITTED = "committed"
_BAR_LEAST = 8
_NAME_LEAST = 9
_PERCENT = 5
_RATE = 6


class StepsPane(Pane["RunView"]):
    """The frontier, batch, share, lag and rate of each step."""

    TITLE = "Steps"
    pinned_top = 1
    pinned_bottom = 1

    def show(self, view: RunView) -> None:
        """Show the steps as they are."""
        self.accept(view)

    def draw(self, shown: RunView, width: int, height: int) -> list[Line]:
        """Return the header, a line a step, and the committed line; the header gives its line to the last step."""
        lines = step_lines(shown, width, self.glyphs)
        return lines[1:] if len(lines) == height + 1 and find_trouble(shown, None, self.glyphs) is None else lines

    def footing(self, shown: RunView, width: int) -> tuple[str, ...]:  # noqa: ARG002 - the pane cuts it
        """Return the overall share, or the rows where the size of the source is unknown."""
        if shown.fraction is None:
            return (f"{count(shown.rows_committed)} rows, size unknown",)
        return (f"overall {percent(shown.fraction)}",)


@dataclass(frozen=True, slots=True)
class StepWidths:
    """Widths in cells; 0 where there is no room for a column."""

    name: int
    bar: int
    batch: int
    share: int
    lag: int
    rate: int


def step_widths(view: RunView, width: int) -> StepWidths:
    """Return the widths of all columns for `width` cells: unimportant columns are left out, the bar gets the rest."""
    names = max([cell_len(COMMITTED), *(cell_len(safe(step.name, 100)) for step in view.steps)])
    name = max(_NAME_LEAST, min(names, width // 4))
    batch = max([len("batch"), len(count(view.frontier)), *(len(count(step.frontier)) for step in view.steps)])
    lag = max([len("lag"), *(len(count(-step.lag)) for step in view.steps)])
    numbers = [batch, _PERCENT, lag, _RATE]
    for dropped in (None, 2, 3, 0):
        if dropped is not None:
            numbers[dropped] = 0
        room = width - 2 - name - sum(len(GAP) + number for number in numbers if number) - len(GAP)
        if room >= _BAR_LEAST:
            return StepWidths(name, room, *numbers)
    left = width - 2 - 2 * len(GAP) - _PERCENT
    if left > 1:
        return StepWidths(left, 0, 0, _PERCENT, 0, 0)
    return StepWidths(max(1, width - 2 - len(GAP)), 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure, or a retry that is due: a glyph, words and their style."""

    glyph: str
    words: str
    style: str


def step_lines(view: RunView, width: int, glyphs: Glyphs) -> list[Line]:
    """Return the header, one line a step and a sink, and the committed line."""
    widths = step_widths(view, width)
    earlier = view.rows_committed_before / view.info.source_rows if view.info.source_rows else 0.0
    style = "good" if view.state.is_finished else "run"

    def bar_and(fraction: float | None, numbers: Sequence[str], bar_style: str, style: str = "") -> Line:
        bar = draw_bar(fraction, earlier, widths.bar, glyphs, bar_style)
        return (*bar, (_numbers(widths, numbers), style))

    def line(name: str, row: Line) -> Line:
        trouble = find_trouble(view, name, glyphs)
        if trouble is None:
            return (("  ", ""), *row)
        words = trouble.words if trouble.style == "bad" else f"{trouble.glyph} {trouble.words}"
        return ((trouble.glyph, trouble.style), (" ", ""), *_overlaid(row, widths, width - 2, words, trouble.style))

    lines = [_header(view, widths, width, glyphs)]
    for step in view.steps:
        name = fit_text(safe(step.name), widths.name, ellipsis=glyphs.ellipsis)
        lines.append(line(step.name, ((name, ""), (GAP, ""), *bar_and(step.fraction, _step_numbers(step), style))))
    for sink in view.sinks:
        # A sink has no share and no pace of its own: it follows what is committed.
        name = fit_text(safe(sink.name), widths.name + len(GAP) + widths.bar, ellipsis=glyphs.ellipsis)
        lines.append(line(sink.name, ((name, "muted"), (_numbers(widths, (_batch(sink.frontier), "", "", "")), ""))))
    name = f"  {fit_text(COMMITTED, widths.name, ellipsis=glyphs.ellipsis)}{GAP}"
    numbers = (_batch(view.frontier), _share(view.fraction, view.rows_committed), "", _rate(view.rows_per_second))
    return [*lines, ((name, "good"), *bar_and(view.fraction, numbers, "good", "strong"))]


def draw_bar(fraction: float | None, earlier: float, width: int, glyphs: Glyphs, style: str) -> Line:
    """Return a bar of `width` cells, exact to half a cell, that never looks full before the end.

    It shows what earlier runs have done, what this run has done, and the rest. A `fraction` of None is unknown.

    >>> from tui.look.glyphs import ASCII
    >>> from tui.widgets.drawing.line import line_text
    >>> line_text(draw_bar(0.5, 0.2, 11, ASCII, "run")), line_text(draw_bar(0.999, 0.0, 4, ASCII, "run"))
    ('==###>-----', '###>')
    >>> line_text(draw_bar(None, 0.0, 4, ASCII, "run")), line_text(draw_bar(1.0, 0.0, 4, ASCII, "run"))
    ('----', '####')
    """
    halves = int(min(1.0, max(0.0, fraction or 0.0)) * width * 2)
    whole, head = divmod(halves, 2)
    before = min(whole, int(earlier * width))
    parts = (
        (glyphs.bar_earlier * before, f"bar-{style}-earlier"),
        (glyphs.bar_done * (whole - before) + glyphs.bar_head * head, f"bar-{style}"),
        (glyphs.bar_rest * (width - whole - head), "bar-rest"),
    )
    return tuple(part for part in parts if part[0])


def find_trouble(view: RunView, step: str | None, glyphs: Glyphs) -> Trouble | None:
    """Return how a step, a sink or the source (None) failed or is retried; None if neither."""
    failure = blocking_failure(view)
    if failure is not None and failure.step == step:
        return Trouble(glyphs.failed, f"failed at {failure.batch_id:,}", "bad")
    retries = [retry for retry in view.retries if retry.step == step]
    return Trouble(glyphs.retry, retry_words(retries), "warn") if retries else None


def retry_words(retries: Sequence[Retrying]) -> str:
    """Return the number of the next try and when it starts; of several retries, the one that is due first."""
    first = min(retries, key=lambda retry: retry.seconds_until_next)
    others = f" +{len(retries) - 1}" if len(retries) > 1 else ""
    return next_attempt(first.attempt, first.max_attempts, first.seconds_until_next) + others


def blocking_failure(view: RunView) -> FailureRecord | None:
    """Return the failure that made the pipeline fail, None if it has not failed."""
    return view.failures[-1] if view.state is RunState.FAILED and view.failures else None


def _header(view: RunView, widths: StepWidths, width: int, glyphs: Glyphs) -> Line:
    """Return the column names; the source has no row, so its troubles are shown here."""
    share = "%" if view.info.source_rows is not None else "rows"
    numbers: Line = ((_numbers(widths, ("batch", share, "lag", "rows/s")), "muted"),)
    bar_name = fit_text("frontier", widths.bar, ellipsis=glyphs.ellipsis)
    left: Part = (f"  {' ' * widths.name}{GAP}{bar_name}", "muted")
    trouble = find_trouble(view, None, glyphs)
    if trouble is not None:
        left = (f"{trouble.glyph} source {trouble.words}", trouble.style)
    return spread_line((left,), numbers, width)


def _step_numbers(step: StepView) -> tuple[str, str, str, str]:
    lag = count(-step.lag) if step.lag else ""
    return _batch(step.frontier), _share(step.fraction, step.rows), lag, _rate(step.rows_per_second)


def _share(fraction: float | None, rows: int) -> str:
    return percent(fraction) if fraction is not None else compact(rows)


def _rate(rate: float) -> str:
    return rows_per_second(rate) if rate else ""


def _batch(frontier: int | None) -> str:
    return NONE if frontier is None or frontier < 0 else count(frontier)


def _numbers(widths: StepWidths, cells: Sequence[str]) -> str:
    every = zip((widths.batch, widths.share, widths.lag, widths.rate), cells, strict=True)
    return "".join(GAP + fit_text(text, width, right=True) for width, text in every if width)


def _overlaid(row: Line, widths: StepWidths, width: int, words: str, style: str) -> Line:
    """Return the row ending in words instead of numbers; the batch stays in its place, or else the bar gives way."""
    numbers = row[-1][0]
    batch = len(GAP) + widths.batch
    if widths.batch and len(numbers) - batch >= len(GAP) + cell_len(words):
        return spread_line((*row[:-1], (numbers[:batch], "")), ((words, style),), width)
    return spread_line(crop_line(row[:-1], width - len(GAP) - cell_len(words), ""), ((words, style),), width)
