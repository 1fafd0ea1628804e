"""Quarantine and retries through the real app and the real engine: what `k`, `p` and `E` do, and when they don't."""

import csv
import re
import threading
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest
import views
from fake_bridge import FakeBridge
from line_source import LineSource, lines

from engine import BatchPipeline, FunctionBatchStep, Quarantine, RetryPolicy
from engine.checkpoint.store import CheckpointStore
from engine.progress import BatchState
from engine.sinks.base import Sink
from engine.state import RunState
from engine.testing import NumberSource
from tui.screens.dialogs.ask import AskScreen
from tui.screens.dialogs.confirm import ChangedScreen, ConfirmScreen
from tui.widgets.detail import DetailPane
from tui.widgets.quarantine import QuarantinePane
from tui.widgets.steps import StepsPane

pytestmark = pytest.mark.integration


def fails_at(*bad):
    def step(frame):
        if frame["id"].is_in(list(bad)).any():
            raise ValueError("[bold]no[/bold] \x1b[31mnumber")
        return frame

    return step


def numbers(tmp_path, *bad, **changes):
    steps = [FunctionBatchStep("parse", fails_at(*bad))]
    changes = {"batch_size": 10, "checkpoint_dir": tmp_path / "numbers", "name": "numbers", "workers": 1} | changes
    return BatchPipeline(changes.pop("steps", steps), NumberSource(100), **changes)


def lines_of(tmp_path, *bad):
    source = LineSource(lines(100, bad))
    return BatchPipeline([], source, batch_size=10, checkpoint_dir=tmp_path / "lines", name="lines", workers=1)


# --- k ----------------------------------------------------------------------------------------------------


async def test_k_takes_the_bad_row_out_and_goes_on_to_the_end(flights_file, story):
    async with story(flights_file.path) as on:
        await on.quarantine_bad_rows()
        view = on.view
        assert (view.frontier, view.rows_quarantined, view.fraction) == (33, 1, 1.0)
        assert view.batch_states[21] == BatchState.QUARANTINED
        assert len(on.bridge.runs) == 2
        await on.press("6")
        pane = on.screen.query_one(QuarantinePane)
        await on.until(lambda: "216,447" in pane.shown_text)
        assert "check_speed" in pane.shown_text
        detail = on.screen.query_one(DetailPane)
        await on.until(lambda: "CheckFailed in check_speed, batch 21, source row 216,447" in detail.plain_text)
        assert "N666DN" in detail.plain_text
        await on.press("q")
    assert on.return_code == 0


async def test_replay_after_fixing_the_step_empties_the_quarantine(flights_file, story):
    async with story(flights_file.path) as on:
        await on.quarantine_bad_rows()
        await on.press("6")
        await on.until(lambda: "216,447" in on.screen.query_one(QuarantinePane).shown_text)
        rows = on.bridge.pipeline.scan_results().select(pl.len()).collect().item()
        flights_file.raise_limit()
        await on.press("p")
        await on.screen_is(ChangedScreen)
        assert "check_speed" in on.bridge.error.differences[0]
        assert on.view.rows_quarantined == 1
        await on.press("right", "enter")
        await on.until(lambda: on.state is RunState.FINISHED)
        assert on.view.rows_quarantined == 0
        results = on.bridge.pipeline.collect_results()
        assert results.height == rows + 1
        assert results["speed_mph"].max() > 700
        await on.until(lambda: "nothing in quarantine" in on.screen.query_one(QuarantinePane).shown_text)
        assert any("1 row went through" in words for words in on.toasts)


async def test_k_takes_out_rows_that_the_source_cannot_read_and_p_reads_them_again(tmp_path, story):
    pipeline = lines_of(tmp_path, 64)

    async with story(pipeline=pipeline) as on:
        await on.quarantine_bad_rows()
        await on.press("6")
        pane = on.screen.query_one(QuarantinePane)
        await on.until(lambda: "numbers.txt, line 65: it is no number" in pane.shown_text)
        detail = on.screen.query_one(DetailPane)
        await on.until(lambda: "Unreadable in source, batch 6, source row 64" in detail.plain_text)
        assert "x64" in detail.plain_text
        pipeline.batch_fetcher.lines[64] = "64"
        await on.press("p")
        await on.until(lambda: on.state is RunState.FINISHED)
        assert on.bridge.pipeline.collect_results()["id"].to_list() == list(range(100))


async def test_replay_that_is_declined_changes_nothing(flights_file, story):
    async with story(flights_file.path) as on:
        await on.quarantine_bad_rows()
        flights_file.raise_limit()
        await on.press("p")
        await on.screen_is(ChangedScreen)
        await on.press("enter")
        await on.until(lambda: on.state is RunState.INCOMPLETE)
        assert on.view.rows_quarantined == 1


async def test_replay_of_rows_that_fail_again_says_so(flights_file, story):
    async with story(flights_file.path) as on:
        await on.quarantine_bad_rows()
        await on.press("p")
        await on.until(lambda: any("1 row is still in quarantine" in words for words in on.toasts))
        assert on.state is RunState.INCOMPLETE


async def test_k_after_an_edit_asks_and_still_takes_rows_out(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        flights_file.edit("LIMIT_MPH = 700", "LIMIT_MPH = 690")
        await on.press("k")
        await on.screen_is(ChangedScreen)
        await on.press("right", "enter")
        await on.until(lambda: on.state is RunState.INCOMPLETE)
        assert on.view.rows_quarantined >= 1


async def test_pipeline_s_own_limits_hold_and_k_then_says_why_not(tmp_path, story):
    pipeline = numbers(tmp_path, 31, 33, on_error=Quarantine(max_rows=1, max_fraction=None))

    async with story(pipeline=pipeline) as on:
        await on.run_to_failure()
        assert on.bridge.error.kind == "QuarantineFull"
        assert not on.screen.situation().can_quarantine
        await on.press("k")
        await on.until(lambda: on.toasts)
        assert "on_error=Quarantine(max_rows=" in on.toasts[-1]
        assert on.bridge.working is None
        assert len(on.bridge.runs) == 1


async def test_k_uses_the_engine_s_limits_where_the_pipeline_has_none(tmp_path, story):
    async with story(pipeline=numbers(tmp_path, *range(30, 40))) as on:
        await on.run_to_failure()
        await on.press("k")
        await on.until(lambda: on.bridge.error is not None and on.bridge.error.kind == "QuarantineFull")
        assert on.view.frontier == 2


async def test_k_that_finds_no_row_to_blame_says_so(tmp_path, story):
    def fails_when_whole(frame):
        if frame.height > 5:
            raise ValueError("too many")
        return frame

    steps = [FunctionBatchStep("sum", fails_when_whole)]

    async with story(pipeline=numbers(tmp_path, steps=steps)) as on:
        await on.run_to_failure()
        await on.press("k")
        await on.until(lambda: any("No rows could be taken out of batch 0" in words for words in on.toasts))


async def test_rows_in_quarantine_are_data_and_obeyed_by_nobody(tmp_path, story):
    async with story(pipeline=numbers(tmp_path, 50)) as on:
        await on.quarantine_bad_rows()
        await on.press("6")
        pane = on.screen.query_one(QuarantinePane)
        await on.until(lambda: "[bold]no[/bold] ␛[31mnumber" in pane.shown_text)


# --- where it makes no sense ------------------------------------------------------------------------------


def still(view):
    return FakeBridge(view)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": None}, "No step failed"),
        ({"error_type": "QuarantineFull"}, "on_error=Quarantine"),
        ({"start_row": None, "error_type": "SchemaDrift"}, "failed as a whole"),
    ],
)
async def test_k_is_not_offered_and_tells_why(changes, words, story):
    view = replace(views.failed(), failures=(replace(views.flight_failure(), **changes),))

    async with story(bridge=still(view)) as on:
        await on.press("k")
        await on.pilot.pause()
        assert "Quarantine" not in str(on.screen.query_one("KeyFooter").render())
        assert words in on.toasts[-1]
        assert not any(job == "starting" for job, _ in on.bridge.asked)


async def test_k_is_not_offered_when_a_sink_failed(story):
    async with story(bridge=still(views.sink_failed())) as on:
        await on.press("k")
        await on.pilot.pause()
        assert "k Quarantine" not in str(on.screen.query_one("KeyFooter").render())
        assert "r delivers it again" in on.toasts[-1]


async def test_k_is_offered_for_rows(story):
    async with story(bridge=still(views.failed())) as on:
        await on.pilot.pause()
        assert "k Quarantine" in str(on.screen.query_one("KeyFooter").render())
        await on.press("k")
        assert ("starting", True) in on.bridge.asked


# --- export, reset ----------------------------------------------------------------------------------------


async def test_quarantine_is_exported_to_a_file(flights_file, tmp_path, story):
    async with story(flights_file.path) as on:
        await on.quarantine_bad_rows()
        await on.press("E")
        await on.screen_is(AskScreen)
        line = on.screen.query_one("#line")
        assert line.value == "flights-quarantine.csv"
        line.value = "rows.duckdb"
        await on.press("enter")
        assert isinstance(on.screen, AskScreen)
        path = tmp_path / "rows.csv"
        line.value = str(path)
        await on.press("enter")
        await on.until(lambda: any("The quarantine is in" in words for words in on.toasts))
        with path.open(encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert (row["batch_id"], row["source_row"], row["step"]) == ("21", "216447", "check_speed")


async def test_reset_says_that_quarantined_rows_go_too(flights_file, story):
    async with story(flights_file.path) as on:
        await on.quarantine_bad_rows()
        await on.press("R")
        await on.screen_is(ConfirmScreen)
        said = " ".join(str(line.render()) for line in on.screen.query(".dialog-line"))
        assert "34 batches, 336,776 source rows, 1 quarantined row and the" in said


async def test_quarantine_of_an_earlier_session_is_shown_when_it_is_opened(flights_file, story):
    async with story(flights_file.path) as on:
        await on.quarantine_bad_rows()
        await on.press("q")
    async with story(flights_file.path) as on:
        await on.until(lambda: on.state is RunState.INCOMPLETE and on.bridge.loaded)
        await on.press("6")
        await on.until(lambda: "216,447" in on.screen.query_one(QuarantinePane).shown_text)


async def test_quarantine_of_a_checkpoint_in_use_is_not_called_empty(flights_file, story):
    with CheckpointStore(flights_file.checkpoint_dir):
        async with story(flights_file.path) as on:
            await on.until(lambda: on.bridge.error is not None)
            await on.press("6")
            await on.until(lambda: "can't be read: the checkpoint" in on.screen.query_one(QuarantinePane).shown_text)


async def test_replay_stops_when_it_is_asked_to(tmp_path, story):
    gate, mended = threading.Semaphore(0), threading.Event()
    fail = fails_at(5, 15, 25, 35)

    def step(frame):
        if mended.is_set():
            gate.acquire(timeout=300)
            return frame
        return fail(frame)

    pipeline = numbers(tmp_path, steps=[FunctionBatchStep("parse", step)], on_error=Quarantine(max_fraction=None))
    async with story(pipeline=pipeline) as on:
        await on.loaded()
        await on.press("r")
        await on.until(lambda: on.state is RunState.INCOMPLETE)
        mended.set()
        await on.press("p")
        await on.until(lambda: on.screen.situation().replaying)
        gate.release()
        await on.press("s")
        gate.release(100)
        await on.until(lambda: on.bridge.working is None)
        assert 0 < on.view.rows_quarantined < 4


# --- retries ----------------------------------------------------------------------------------------------


@pytest.fixture
def longest_waits(monkeypatch):
    """Waits are drawn by lot; here the lot is always the longest."""
    monkeypatch.setattr("tenacity.wait.random.uniform", lambda _least, most: most)


RETRY = RetryPolicy(transient=(TimeoutError,), max_attempts=5, base_seconds=30.0, max_wait_seconds=30.0)


def unreachable(*_arguments):
    raise TimeoutError("no answer")


class DeadSource(NumberSource):
    def __call__(self, batch_id, batch_size):
        unreachable()


class DeadSink(Sink):
    """A place that can be opened, and takes nothing."""

    retry = RETRY
    name = "orders in nowhere"

    def open(self, checkpoint_key):
        pass

    def next_batch_id(self):
        return 0

    def attempt_ids(self, first_batch_id, last_batch_id):
        return {}

    def put(self, deliveries):
        unreachable()

    def drop_from(self, batch_id):
        pass


@pytest.mark.usefixtures("longest_waits")
@pytest.mark.parametrize("place", ["step", "fetch", "sink"])
async def test_retry_is_counted_down_and_s_ends_the_wait(place, tmp_path, story):
    pipeline = BatchPipeline(
        [FunctionBatchStep("parse", unreachable if place == "step" else lambda frame: frame)],
        DeadSource(100) if place == "fetch" else NumberSource(100),
        batch_size=10, checkpoint_dir=tmp_path / "retries", workers=1, retry=RETRY,
        sinks=[DeadSink()] if place == "sink" else [],
    )  # fmt: skip
    async with story(pipeline=pipeline) as on:
        await on.loaded()
        await on.press("r")
        steps = on.screen.query_one(StepsPane)
        waits = []

        def counted_down():
            """Say whether the same wait was shown with fewer seconds than before: how many, a busy machine decides."""
            waits.extend(
                tuple(map(int, found.groups())) for found in re.finditer(r"retry (\d)/5 in (\d+) s", steps.shown_text)
            )
            return any(one[0] == two[0] and one[1] > two[1] for one, two in pairwise(waits))

        await on.until(counted_down, told=lambda: f"{waits}, {steps.shown_text}")
        assert waits[0] in {(2, seconds) for seconds in range(31)}
        await on.press("s")
        await on.until(lambda: on.state in {RunState.RESUMABLE, RunState.IDLE})
