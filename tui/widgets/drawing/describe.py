"""A failure, a batch or a run in words: blocks that a pane lays out for its width, and that can be copied as text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from engine import RunState
from engine.text.format import EN_DASH, count, counted, duration, instant, size, span, spans
from engine.text.terminal_safe import safe
from tui.actions import key_of
from tui.widgets.drawing.blocks import Block, NamedValues, Paragraph, Table
from tui.widgets.drawing.styles import RUN_STYLES

if TYPE_CHECKING:
    from engine import FailureRecord, Manifest, QuarantinedRow, RunRecord

_NAME = 200
"""Characters of a name that are shown."""
_PREFIX = re.compile(
    r"^(?:step '.*?' failed at batch \d+ \([^)]*\)|fetching batch \d+ failed|batch \d+ could not be delivered to .*?)"
    r"(?: after \d+ attempts)?: "
)


def failure_reason(message: str) -> str:
    """Return a failure's message without the step and the batch, which are shown beside it.

    >>> failure_reason("step 'parse' failed at batch 21 (rows 210,000 to 219,999): ValueError: no number")
    'ValueError: no number'
    """
    return _PREFIX.sub("", message)


def failure_place(step: str | None, *, is_sink: bool, limit: int = _NAME) -> str:
    """Return the name of the step or sink that failed, and `source` for a failure before the first step.

    >>> [failure_place(step, is_sink=step == "a.duckdb") for step in (None, "parse", "a.duckdb")]
    ['source', 'parse', 'sink a.duckdb']
    """
    if step is None:
        return "source"
    return f"{'sink ' if is_sink else ''}{safe(step, limit)}"


def quarantine_message(row: QuarantinedRow) -> str:
    """Return the error of a row in quarantine without its type, which is shown beside it; first its line in a file.

    >>> from engine import QuarantinedRow
    >>> quarantine_message(QuarantinedRow(21, 7, "parse", "ValueError", "ValueError: no number", None))
    'no number'
    """
    return row.message if row.origin else row.error.removeprefix(f"{row.error_type}: ")


def failure_blocks(failure: FailureRecord, dash: str = EN_DASH, *, of_sink: bool = False) -> tuple[Block, ...]:
    """Return the failure whole: what and where, the rows, what to do next, the facts, the traceback."""
    where = "the source" if failure.step is None else failure_place(failure.step, is_sink=of_sink)
    blocks: list[Block] = [
        Paragraph(f"{safe(failure.error_type, _NAME)} in {where}, batch {failure.batch_id:,}", "bad"),
        Paragraph(failure_reason(failure.message)),
    ]
    columns, examples = failure.examples
    if columns and examples and len(failure.row_numbers) >= len(examples):
        numbered = zip(map(count, failure.row_numbers), examples, strict=False)
        blocks.append(Table(("row", *columns), tuple((number, *row) for number, row in numbered)))
    elif columns and examples:
        blocks.append(Table(columns, examples))
    if failure.hint:
        blocks.append(Paragraph(failure.hint, "accent"))
    rows = (
        "" if failure.start_row is None or failure.end_row is None else span(failure.start_row, failure.end_row, dash)
    )
    facts = (
        ("batch rows", rows),
        ("bad rows", spans(failure.row_numbers, dash, limit=8)),
        ("run", count(failure.run_id)),
        ("tries", count(failure.attempts)),
        ("at", instant(failure.at)),
    )
    blocks.append(NamedValues(facts))
    if failure.traceback:
        blocks.append(Paragraph(failure.traceback, "muted"))
    return tuple(blocks)


def batch_blocks(manifest: Manifest, dash: str = EN_DASH) -> tuple[Block, ...]:
    """Return a committed batch: its rows, and the time that it took."""
    cursor = "" if manifest.cursor is None else json.dumps(dict(manifest.cursor), ensure_ascii=False, default=str)
    facts = (
        ("rows", f"{span(manifest.start_row, manifest.end_row, dash)} ({manifest.rows_in:,})"),
        ("rows out", count(manifest.rows_out)),
        ("quarantined", count(manifest.rows_quarantined) if manifest.rows_quarantined else ""),
        ("part", f"{size(manifest.bytes_written)}, CRC-32 {safe(manifest.checksum, 20)}"),
        ("run", count(manifest.run_id)),
        ("tries", count(manifest.attempts)),
        ("cursor", safe(cursor, 400)),
    )
    steps = tuple(
        (safe(" + ".join(timing.steps), _NAME), duration(timing.seconds), count(timing.rows_in), count(timing.rows_out))
        for timing in manifest.timings
    )
    timings = (
        ("fetch", duration(manifest.fetch_seconds), "", count(manifest.rows_in)),
        *steps,
        # A part can't say how long it took to write itself: 0 means unknown.
        ("write", duration(manifest.write_seconds or None), count(manifest.rows_out), ""),
    )
    return (
        Paragraph(f"Batch {manifest.batch_id:,}", "strong"),
        NamedValues(facts),
        Table(("step", "time", "rows in", "rows out"), timings, may_turn=False),
    )


def row_blocks(row: QuarantinedRow, null: str = "null") -> tuple[Block, ...]:
    """Return a row in quarantine: what the step or the source said, and the row as it was then."""
    number = "" if row.source_row is None else f", source row {row.source_row:,}"
    blocks: list[Block] = [
        Paragraph(f"{safe(row.error_type, _NAME)} in {safe(row.step, _NAME)}, batch {row.batch_id:,}{number}", "warn"),
        Paragraph(quarantine_message(row)),
    ]
    if row.input is None:
        blocks.append(
            Paragraph(f"Its batch was taken out whole; {key_of('export_quarantine')} exports its rows.", "muted")
        )
    else:
        cells = {} if row.origin and row.input == row.origin.text else _as_cells(row.input, null)
        blocks.append(Table(tuple(cells), (tuple(cells.values()),)) if cells else Paragraph(safe(row.input)))
    if row.origin:
        facts = (
            ("file", safe(row.origin.file, 400)),
            ("line", count(row.origin.line) if row.origin.line else ""),
            ("byte", count(row.origin.byte) if row.origin.line else ""),
        )
        blocks.append(NamedValues(facts))
        if row.origin.hint:
            blocks.append(Paragraph(row.origin.hint, "accent"))
    if row.obstacle:
        blocks.append(Paragraph(f"It can't be replayed: {safe(row.obstacle)}.", "warn"))
    return tuple(blocks)


def _as_cells(text: str, null: str) -> dict[str, str]:
    """Return the columns of a row that is JSON text; none when it isn't, since long ones are cut."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(row, dict):
        return {}
    return {name: _as_cell(value, null) for name, value in row.items()}


def _as_cell(value: object, null: str) -> str:
    if value is None:
        return null
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_OUTCOMES = {
    RunState.RUNNING: "is running",
    RunState.RESUMABLE: "was stopped",
    RunState.INCOMPLETE: "finished, with rows in quarantine",
    RunState.CRASHED: "crashed: its process ended without a word",
}


def run_blocks(record: RunRecord, dash: str = EN_DASH) -> tuple[Block, ...]:
    """Return a run: when, how far, where it ran, and why it ended."""
    words, style = _OUTCOMES.get(record.state, record.state), RUN_STYLES[record.state]
    seconds = None if record.ended_at is None else (record.ended_at - record.started_at).total_seconds()
    last = record.next_batch_id
    batches = f"from {record.first_batch_id:,}"
    if last is None and record.ended_at is not None:
        batches = "none"  # it never began
    elif last is not None:
        batches = span(record.first_batch_id, last - 1, dash) if last > record.first_batch_id else "none"
    facts = (
        ("began", instant(record.started_at)),
        ("ended", "" if record.ended_at is None else instant(record.ended_at)),
        ("took", "" if seconds is None else duration(seconds)),
        ("batches", batches),
        ("rows done", "" if record.rows_done is None else count(record.rows_done)),
        ("batch size", counted(record.batch_size, "row")),
        ("process", f"{record.pid} on {safe(record.host, _NAME)}"),
    )
    blocks: list[Block] = [Paragraph(f"Run {record.run_id:,} {words}", f"{style} strong"), NamedValues(facts)]
    if record.message:
        blocks.append(Paragraph(record.message))
    return tuple(blocks)


def text_blocks(title: str, text: str) -> tuple[Block, ...]:
    """Return a title and a text, both possibly foreign."""
    return (Paragraph(safe(title, 400), "strong"), Paragraph(text))
