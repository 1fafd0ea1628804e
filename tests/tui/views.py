"""RunViews that tests of the dashboard draw: realistic, fixed, made without a clock or an engine.

`flights` are the sample data's own numbers (34 batches of 10,000 rows, the real failure at batch 21); `lineitem`
is a long run of 9,999 batches. Each function returns a new immutable view; `dataclasses.replace` changes one.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine.batch import SourceRow
from engine.checkpoint.catalog.records import RunRecord
from engine.checkpoint.parts.manifest import Manifest, StepTiming
from engine.events import FailureRecord, RunInfo
from engine.progress.view import BatchState, Retrying, RunView, SinkView, StepView
from engine.results.quarantine import QuarantinedRow
from engine.state import RunState

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NOW = NOON + timedelta(minutes=5)

FLIGHT_ROWS = 336_776
FLIGHT_STEPS = ("drop_nulls", "add_speed", "check_speed", "keep")
LINEITEM_ROWS = 999_900_000
LINEITEM_STEPS = ("drop_nulls", "add_speed", "check_speed")

HOSTILE_TEXT = (
    "[bold red]x[/bold] [@click=app.quit]quit[/] \x1b[31mred\x1b]52;c;aGk=\x07 \x9b2J \u202eltr\u202c \u200bz 漢字 🚀"
)
HOSTILE_NAMES = (
    "[/bold]",
    "清洗空值步骤",
    "🚀 launch",
    "[@click=app.quit]b[/]",
    "\x1b[2Jclear",
    "\u202egnp.exe",
    "n" * 10_000,
)


def show_in(pane, view, *, records=(), memory_bytes=None, now=NOW):
    """Show a view in a pane that needs one thing more than the view, as the dashboard does."""
    for name, value in (("records", records), ("memory_bytes", memory_bytes), ("now", now)):
        if hasattr(pane, name):
            setattr(pane, name, value)
    pane.show(view)


def flight_failure() -> FailureRecord:
    """The real one of the sample data."""
    return FailureRecord(
        run_id=1,
        at=NOON + timedelta(seconds=3),
        batch_id=21,
        start_row=210_000,
        end_row=219_999,
        step="check_speed",
        attempts=1,
        error_type="CheckFailed",
        message=(
            "step 'check_speed' failed at batch 21 (rows 210,000 to 219,999): "
            '1 row breaks the check [(col("speed_mph")) <= (dyn int: 700)]'
        ),
        hint="Batches up to 20 are committed. Mend the step or the data and run again: it goes on at batch 21.",
        traceback=(
            "Traceback (most recent call last):\n"
            '  File "/data/engine/isolate.py", line 61, in run_step\n'
            "    after = step.process(before)\n"
            "            ^^^^^^^^^^^^^^^^^^^^\n"
            '  File "/data/engine/steps/check.py", line 74, in process\n'
            "    raise CheckFailed(str(self.condition), rows, examples, row_count)\n"
            'engine.errors.CheckFailed: 1 row breaks the check [(col("speed_mph")) <= (dyn int: 700)]\n'
        ),
        row_numbers=(216_447,),
        examples=(
            ("carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "speed_mph"),
            (("DL", "1499", "N666DN", "LGA", "ATL", "65.0", "762.0", "703.384615"),),
        ),
    )


def idle() -> RunView:
    """Nothing done yet."""
    return RunView(
        info=RunInfo(
            pipeline="flights",
            source="flights.parquet",
            checkpoint_dir="checkpoints/flights",
            batch_size=10_000,
            workers=2,
            window=4,
            source_rows=FLIGHT_ROWS,
            source_rows_exact=True,
        ),
        total_batches=34,
        fraction=0.0,
        steps=tuple(StepView(name=name, fraction=0.0) for name in FLIGHT_STEPS),
    )


def resumable() -> RunView:
    """21 batches of an earlier session are durable."""
    return replace(
        idle(),
        state=RunState.RESUMABLE,
        frontier=20,
        rows_committed=210_000,
        rows_committed_before=210_000,
        batches_committed_before=21,
        fraction=210_000 / FLIGHT_ROWS,
        batch_states=bytes([BatchState.EARLIER] * 21),
        steps=tuple(
            StepView(name=name, frontier=20, rows=210_000, fraction=210_000 / FLIGHT_ROWS) for name in FLIGHT_STEPS
        ),
    )


def failed() -> RunView:
    """The sample pipeline's real end: batch 21 can't be finished."""
    states = bytes([BatchState.COMMITTED] * 21 + [BatchState.FAILED])
    return replace(
        resumable(),
        state=RunState.FAILED,
        run_id=1,
        end_message=flight_failure().message,
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=3),
        elapsed_seconds=3.2,
        rows_committed_before=0,
        batches_committed_before=0,
        batch_states=states,
        average_rows_per_second=65_625.0,
        average_batches_per_second=6.56,
        throughput=(*[0] * 117, 60_000, 110_000, 40_000),
        batch_seconds_p50=0.212,
        batch_seconds_p95=0.409,
        batch_seconds_max=0.512,
        slowest_batch_id=0,
        rows_out=204_000,
        bytes_written=5_400_000,
        failures=(flight_failure(),),
        failure_count=1,
        failure_count_all_runs=1,
    )


def finished() -> RunView:
    """Run 2, resumed at batch 21, came to the end of the flights."""
    view = failed()
    return replace(
        view,
        state=RunState.FINISHED,
        run_id=2,
        end_message="",
        started_at=NOON + timedelta(minutes=2),
        ended_at=NOON + timedelta(minutes=2, seconds=2),
        elapsed_seconds=2.1,
        frontier=33,
        rows_committed=FLIGHT_ROWS,
        rows_committed_before=210_000,
        batches_committed_before=21,
        fraction=1.0,
        batch_states=bytes([BatchState.EARLIER] * 21 + [BatchState.COMMITTED] * 13),
        steps=tuple(StepView(name=name, frontier=33, rows=FLIGHT_ROWS, fraction=1.0) for name in FLIGHT_STEPS),
        failure_count=0,
    )


def incomplete() -> RunView:
    """Run 2 took the bad row of batch 21 out, and came to the end without it."""
    view = finished()
    states = [BatchState.EARLIER] * 21 + [BatchState.QUARANTINED] + [BatchState.COMMITTED] * 12
    return replace(view, state=RunState.INCOMPLETE, batch_states=bytes(states), rows_quarantined=1)


def quarantined_row() -> QuarantinedRow:
    """The one bad row of the flights."""
    return QuarantinedRow(
        batch_id=21,
        source_row=216_447,
        step="check_speed",
        error_type="CheckFailed",
        error='1 row breaks the check [(col("speed_mph")) <= (dyn int: 700)]',
        input='{"carrier": "DL", "flight": 1499, "tailnum": "N666DN", "origin": "LGA", "dest": "ATL", "gate": null, '
        '"air_time": 65.0, "distance": 762.0, "speed_mph": 703.3846153846154}',
    )


def quarantined_rows(count: int = 12) -> tuple[QuarantinedRow, ...]:
    """Rows of several steps; every third has lost its number, the last one's batch was taken out whole."""
    rows = [
        replace(
            quarantined_row(),
            batch_id=21 + number // 4,
            source_row=None if number % 3 == 2 else 216_447 + number,
            step=("check_speed", "parse")[number % 2],
            error_type=("CheckFailed", "ValueError")[number % 2],
            error=("1 row breaks the check", "ValueError: no number: 'n/a'")[number % 2],
        )
        for number in range(count)
    ]
    return (*rows[:-1], replace(rows[-1], input=None, obstacle="step 'totals' has a memory of the batches before"))


def unreadable_row() -> QuarantinedRow:
    """A line of a CSV file that the source can't read."""
    reason = "it has 3 fields, and the header has 2"
    origin = SourceRow(
        640, '5,"x,1', reason, file="exports/orders.csv", line=641, byte=20_480, hint="Pass quote_char=None."
    )
    return QuarantinedRow(2, 640, "source", "Unreadable", reason, origin.text, origin=origin)


def hostile_source_row() -> QuarantinedRow:
    """A row of the source with text from people who don't like us, in every field."""
    origin = SourceRow(3, HOSTILE_TEXT, HOSTILE_TEXT, file=HOSTILE_TEXT, line=4, hint=HOSTILE_TEXT)
    return replace(hostile_row(), step="source", input=HOSTILE_TEXT, origin=origin)


def hostile_row() -> QuarantinedRow:
    """Text from people who don't like us, in every field."""
    return QuarantinedRow(
        batch_id=7,
        source_row=3,
        step=HOSTILE_NAMES[3],
        error_type="[/bold]Error",
        error=HOSTILE_TEXT + "\nsecond line " + "m" * 10_000,
        input=json.dumps({"[/bold]": HOSTILE_TEXT, "\x1b[31m" + "n" * 500: "v" * 900, "nested": {"[/]": [None, 1]}}),
        obstacle=HOSTILE_TEXT,
    )


SINK = "orders in postgresql://db/sales"


def with_sinks() -> RunView:
    """The long run, whose results go to two more places; nobody has asked the second one yet."""
    return replace(running(), sinks=(SinkView(name=SINK, frontier=6_238), SinkView(name="speeds in speeds.duckdb")))


def sink_failure() -> FailureRecord:
    """The first of them didn't take a batch, and that ended the run."""
    return replace(
        flight_failure(),
        batch_id=6_239,
        start_row=None,
        end_row=None,
        step=SINK,
        attempts=5,
        error_type="OperationalError",
        message=f"batch 6239 could not be delivered to {SINK} after 5 attempts: OperationalError: connection refused",
        hint="The batch is committed; the next run delivers what is missing there before it goes on.",
        row_numbers=(),
        examples=((), ()),
    )


def sink_failed() -> RunView:
    """That run, at its end."""
    failure = sink_failure()
    return replace(
        with_sinks(), state=RunState.FAILED, failures=(failure,), failure_count=1, end_message=failure.message
    )


def wave(length: int = 120) -> tuple[int, ...]:
    """Rows a second that rise, rest and rise again, around 1.4 million."""
    return tuple(
        max(0, round(900_000 * (1 + math.sin(second / 7) * math.cos(second / 23)))) for second in range(length)
    )


def running() -> RunView:
    """Run 3 of a long pipeline, resumed at batch 2,100, with the last step behind and one failure long ago."""
    states = bytearray([BatchState.EARLIER] * 2_100 + [BatchState.COMMITTED] * 4_141)
    states += bytes([BatchState.COMPUTED] * 1_170 + [BatchState.RUNNING] * 713)

    def step(name: str, frontier: int, rate: float, lag: int) -> StepView:
        rows = (frontier + 1) * 100_000
        return StepView(
            name=name, frontier=frontier, rows=rows, fraction=rows / LINEITEM_ROWS, rows_per_second=rate, lag=lag,
            last_seconds=0.012,
        )  # fmt: skip

    return RunView(
        state=RunState.RUNNING,
        run_id=3,
        info=RunInfo(
            pipeline="lineitem",
            source="lineitem/*.parquet",
            checkpoint_dir="checkpoints/lineitem",
            batch_size=100_000,
            workers=2,
            window=4,
            source_rows=LINEITEM_ROWS,
            source_rows_exact=True,
        ),
        started_at=NOON,
        elapsed_seconds=252.4,
        total_batches=9_999,
        frontier=6_240,
        rows_committed=624_100_000,
        rows_committed_before=210_000_000,
        batches_committed_before=2_100,
        fraction=624_100_000 / LINEITEM_ROWS,
        eta_seconds=161.0,
        rows_per_second=1_482_000.0,
        batches_per_second=14.8,
        average_rows_per_second=1_640_000.0,
        average_batches_per_second=16.4,
        throughput=wave(),
        steps=(
            step("drop_nulls", 8_123, 1_490_000, 0),
            step("add_speed", 7_990, 1_490_000, 133),
            step("check_speed", 7_410, 1_420_000, 713),
        ),
        batch_states=bytes(states),
        batches_in_flight=3,
        batch_seconds_p50=0.012,
        batch_seconds_p95=0.098,
        batch_seconds_max=0.310,
        slowest_batch_id=4_020,
        commit_seconds_last=0.004,
        commit_seconds_per_batch=0.002,
        rows_out=600_000_000,
        bytes_written=41_200_000_000,
        failures=(replace(flight_failure(), run_id=2),),
        failure_count=0,
        failure_count_all_runs=1,
    )


def retrying() -> RunView:
    """The last step waits for its second try."""
    wait = Retrying(
        batch_id=7_411,
        step="check_speed",
        attempt=1,
        max_attempts=5,
        seconds_until_next=8.0,
        error="TimeoutError: the service did not answer",
    )
    return replace(running(), retries=(wait,), retry_count=1)


def stopping() -> RunView:
    """Someone asked it to stop; three batches are still in flight."""
    return replace(running(), state=RunState.STOPPING, stop_requested=True, eta_seconds=None)


def unknown_size() -> RunView:
    """A stream: nobody knows how long it is."""
    view = running()
    return replace(
        view,
        info=replace(view.info, source_rows=None, source_rows_exact=False),
        total_batches=None,
        fraction=None,
        eta_seconds=None,
        steps=tuple(replace(step, fraction=None) for step in view.steps),
    )


def many_batches(count: int = 100_000) -> RunView:
    """So many batches that a cell stands for hundreds; batch 31,415 failed in this run's past."""
    done = int(count * 0.62)
    states = bytearray([BatchState.EARLIER] * (done // 3) + [BatchState.COMMITTED] * (done - done // 3))
    states[min(31_415, done - 1)] = BatchState.FAILED
    states += bytes([BatchState.COMPUTED, BatchState.RUNNING, BatchState.RUNNING])
    return replace(running(), total_batches=count, frontier=done - 1, batch_states=bytes(states))


def many_steps(count: int = 24) -> RunView:
    """More steps than lines."""
    view = running()
    steps = tuple(
        replace(view.steps[0], name=f"step_{index:02}", frontier=8_123 - 40 * index, lag=40 * index)
        for index in range(count)
    )
    return replace(view, steps=steps)


def hostile_failure() -> FailureRecord:
    """Text from people who don't like us, in every field."""
    return replace(
        flight_failure(),
        step=HOSTILE_NAMES[3],
        error_type="[/bold]Error",
        message=HOSTILE_TEXT + "\nsecond line " + "m" * 10_000,
        hint=HOSTILE_TEXT,
        traceback="Traceback\n\t" + HOSTILE_TEXT + "\n" + "t" * 10_000,
        examples=(("[/bold]", "漢字", "\x1b[31m"), ((HOSTILE_TEXT, "値\u202e", "v" * 10_000), ("[/]", "🚀🚀", "\x9b"))),
    )


def hostile() -> RunView:
    """Hostile text wherever text can be."""
    view = running()
    return replace(
        view,
        info=replace(
            view.info, pipeline=HOSTILE_TEXT, checkpoint_dir="/data/[/bold]\x1b]0;t\x07/\u202e" + "d" * 10_000
        ),
        steps=tuple(replace(view.steps[0], name=name, lag=9 * index) for index, name in enumerate(HOSTILE_NAMES)),
        retries=(
            Retrying(
                batch_id=7,
                step=HOSTILE_NAMES[0],
                attempt=1,
                max_attempts=3,
                seconds_until_next=2.0,
                error=HOSTILE_TEXT,
            ),
        ),
        failures=(hostile_failure(),),
        failure_count=1,
        warnings=(HOSTILE_TEXT,),
        warning_count=1,
    )


def runs() -> tuple[RunRecord, ...]:
    """Two ended runs of the long pipeline, oldest first, and the one that runs now."""

    def record(run_id, minute, state, **changes):
        begun = NOON - timedelta(minutes=minute)
        fields = {
            "run_id": run_id,
            "started_at": begun,
            "ended_at": begun + timedelta(seconds=changes.pop("seconds", 60)),
            "state": state,
            "first_batch_id": 0,
            "next_batch_id": 0,
            "rows_done": 0,
            "batch_size": 100_000,
            "host": "worker-1",
            "pid": 4_711,
            "message": "",
        }
        return RunRecord(**(fields | changes))

    return (
        record(
            1, 60, RunState.FAILED, seconds=62, next_batch_id=1_200, rows_done=120_000_000, message="batch 1,200 failed"
        ),
        record(2, 30, RunState.RESUMABLE, seconds=170, first_batch_id=1_200, next_batch_id=2_100, rows_done=90_000_000),
        record(3, 0, RunState.RUNNING, first_batch_id=2_100, next_batch_id=None, rows_done=None, ended_at=None),
    )


def manifest() -> Manifest:
    """One finished batch of the flights."""
    return Manifest(
        batch_id=20,
        start_row=200_000,
        end_row=209_999,
        rows_out=9_731,
        run_id=1,
        epoch=0,
        attempt_id="a1b2c3",
        attempts=2,
        fetch_seconds=0.021,
        write_seconds=0.034,
        timings=(
            StepTiming(("drop_nulls", "add_speed"), 0.008),
            StepTiming(("check_speed",), 0.003, 9_731, 9_731),
            StepTiming(("keep",), 0.001, 9_731, 9_731),
        ),
        cursor={"row_group": 3, "row": 9_999},
        bytes_written=262_144,
        checksum="0badcafe",
    )


RESULT_COLUMNS = (
    ("time_hour", "Datetime"),
    ("carrier", "String"),
    ("flight", "Int64"),
    ("tailnum", "String"),
    ("origin", "String"),
    ("dest", "String"),
    ("dep_delay", "Float64"),
    ("air_time", "Float64"),
    ("distance", "Int64"),
    ("speed_mph", "Float64"),
)


def result_rows(count: int = 200) -> tuple[tuple[str | None, ...], ...]:
    """Rows of texts for `RESULT_COLUMNS`."""
    return tuple(
        (
            f"2013-01-01 {5 + row // 60:02}:{row % 60:02}",
            ("UA", "AA", "B6", "DL")[row % 4],
            str(1_545 + row),
            None if row % 7 == 3 else f"N{14_228 + row}",
            ("EWR", "LGA", "JFK")[row % 3],
            ("IAH", "MIA", "BQN", "ATL")[row % 4],
            f"{row % 9 - 4}.0",
            f"{227 + row % 60}.0",
            str(1_400 + row * 3),
            f"{370.044 + row / 7:.3f}",
        )
        for row in range(count)
    )
