"""A run as a Markdown page: what ran, how far it got, how fast, and what failed.

Text from data and errors is fenced or escaped, so that it can't become markup of the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.text import format as fmt
from engine.text.terminal_safe import safe, safe_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from engine import RunRecord, RunView
    from engine.events import FailureRecord

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|~!&$"})


def markdown(view: RunView, runs: Sequence[RunRecord], now: datetime) -> str:
    """Return the page. Rows are source rows."""
    return "\n".join(_lines(view, runs, now)) + "\n"


def _lines(view: RunView, runs: Sequence[RunRecord], now: datetime) -> Iterator[str]:
    yield f"# {_text(view.info.pipeline or 'pipeline')}: {view.state}"
    yield ""
    yield f"As of {fmt.instant(now)}."
    yield ""
    yield from _table(("", ""), [
        ("source", _text(view.info.source)),
        ("checkpoint", _text(view.info.checkpoint_dir)),
        ("run", fmt.count(view.run_id)),
        ("started", fmt.instant(view.started_at)),
        ("ended", fmt.instant(view.ended_at)),
        ("frontier", "nothing committed" if view.frontier < 0 else f"batch {view.frontier:,}"),
        ("rows committed", f"{view.rows_committed:,} ({fmt.percent(view.fraction)})"),
        ("rows to go", fmt.count(view.rows_to_go)),
        ("rows in the results, this run", fmt.count(view.rows_out)),
        ("rows in quarantine", fmt.count(view.rows_quarantined)),
        ("elapsed", fmt.duration(view.elapsed_seconds)),
        ("average", f"{fmt.rows_per_second(view.average_rows_per_second)} rows/s"),
        ("seconds a batch", f"p50 {fmt.duration(view.batch_seconds_p50)}, p95 {fmt.duration(view.batch_seconds_p95)}"),
        ("written", fmt.size(view.bytes_written)),
        ("retries", fmt.count(view.retry_count)),
    ])  # fmt: skip
    yield from _section("Steps", ("step", "frontier", "rows", "lag"), [
        (_text(step.name), fmt.count(step.frontier), fmt.count(step.rows), fmt.count(step.lag)) for step in view.steps
    ])  # fmt: skip
    if view.failures:
        yield from ("", "## Failures")
        for failure in reversed(view.failures):
            yield from _failure(failure, {sink.name for sink in view.sinks})
    yield from _section("Runs", ("run", "started", "outcome", "first batch", "next batch", "rows"), [
        (
            fmt.count(run.run_id), fmt.instant(run.started_at), run.state.outcome, fmt.count(run.first_batch_id),
            fmt.count(run.next_batch_id), fmt.count(run.rows_done),
        )
        for run in runs
    ])  # fmt: skip
    yield from _section("Warnings", ("",), [(_text(warning),) for warning in view.warnings])


def _failure(failure: FailureRecord, sinks: Collection[str]) -> Iterator[str]:
    kind = "sink" if failure.step in sinks else "step"
    where = f"{kind} {_text(failure.step)}" if failure.step else "the source"
    yield ""
    yield f"### Run {failure.run_id}, batch {failure.batch_id:,}: {_text(failure.error_type)} in {where}"
    yield ""
    yield _text(failure.message)
    if failure.row_numbers:
        yield ""
        yield f"Source rows: {', '.join(f'{row:,}' for row in failure.row_numbers)}"
    names, rows = failure.examples
    if names:
        yield ""
        yield from _table([_text(name) for name in names], [[_text(cell) for cell in row] for row in rows])
    if failure.traceback:
        # Tildes, because a traceback may hold backticks; three tildes in a row are broken up.
        yield from ("", "~~~~~~~~text", *(line.replace("~~~", "~ ~ ~") for line in safe_lines(failure.traceback)))
        yield "~~~~~~~~"


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield from ("", f"## {title}", "")
        yield from _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _text(text: str) -> str:
    return safe(text).translate(_SPECIAL)
