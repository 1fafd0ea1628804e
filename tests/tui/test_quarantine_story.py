"""Quarantine and retries through the real app and the real engine: what `k`, `p` and `E` do, and when they don't."""

import asyncio
import csv
import threading
from dataclasses import replace

import polars as pl
import pytest
import views
from fake_bridge import FakeBridge

from engine import BatchPipeline, FunctionBatchStep, Quarantine, RetryPolicy
from engine.checkpoint.store import CheckpointStore
from engine.progress import BatchState
from engine.sinks.base import Sink
from engine.state import RunState
from engine.testing import NumberSource
from tui.screens.dialogs.ask import AskScreen
from tui.screens.dialogs.changed import ChangedScreen
from tui.screens.dialogs.confirm import ConfirmScreen
from tui.widgets import DetailPane, QuarantinePane, StepsPane

WIDE = (120, 36)


def run(story):
    asyncio.run(story)


def state(app):
    return app.bridge.view().state if app.bridge.working is None else None


def toasts(app):
    return [notification.message for notification in app._notifications]


async def screen_is(app, kind, until):
    await until(lambda: isinstance(app.screen, kind) and app.screen.focused is not None)


async def run_to_failure(app, pilot, until):
    await until(lambda: app.bridge.loaded and app.bridge.working is None)
    await pilot.press("r")
    await until(lambda: state(app) is RunState.FAILED)


async def quarantine_bad_rows(app, pilot, until):
    await run_to_failure(app, pilot, until)
    await pilot.press("k")
    await until(lambda: state(app) is RunState.INCOMPLETE, told=lambda: f"{app.bridge.error}")


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


# --- k ----------------------------------------------------------------------------------------------------


def test_k_takes_the_bad_row_out_and_goes_on_to_the_end(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await quarantine_bad_rows(app, pilot, until)
            view = app.bridge.view()
            assert (view.frontier, view.rows_quarantined, view.fraction) == (33, 1, 1.0)
            assert view.batch_states[21] == BatchState.QUARANTINED
            assert len(app.bridge.runs) == 2
            await pilot.press("6")
            pane = app.screen.query_one(QuarantinePane)
            await until(lambda: "216,447" in pane.shown_text)
            assert "check_speed" in pane.shown_text
            detail = app.screen.query_one(DetailPane)
            await until(lambda: "CheckFailed in check_speed, batch 21, source row 216,447" in detail.plain_text)
            assert "N666DN" in detail.plain_text
            await pilot.press("q")
        assert app.return_code == 0

    run(story())


def test_replay_after_mending_the_step_empties_the_quarantine(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await quarantine_bad_rows(app, pilot, until)
            await pilot.press("6")
            await until(lambda: "216,447" in app.screen.query_one(QuarantinePane).shown_text)
            rows = app.bridge.pipeline.scan_results().select(pl.len()).collect().item()
            flights_file.raise_limit()
            await pilot.press("p")
            await screen_is(app, ChangedScreen, until)
            assert "check_speed" in app.bridge.error.differences[0]
            assert app.bridge.view().rows_quarantined == 1
            await pilot.press("right", "enter")
            await until(lambda: state(app) is RunState.FINISHED)
            assert app.bridge.view().rows_quarantined == 0
            results = app.bridge.pipeline.collect_results()
            assert results.height == rows + 1
            assert results["speed_mph"].max() > 700
            await until(lambda: "nothing in quarantine" in app.screen.query_one(QuarantinePane).shown_text)
            assert any("1 row went through" in words for words in toasts(app))

    run(story())


def test_replay_that_is_declined_changes_nothing(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await quarantine_bad_rows(app, pilot, until)
            flights_file.raise_limit()
            await pilot.press("p")
            await screen_is(app, ChangedScreen, until)
            await pilot.press("enter")
            await until(lambda: state(app) is RunState.INCOMPLETE)
            assert app.bridge.view().rows_quarantined == 1

    run(story())


def test_replay_of_rows_that_fail_again_says_so(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await quarantine_bad_rows(app, pilot, until)
            await pilot.press("p")
            await until(lambda: any("1 row is still in quarantine" in words for words in toasts(app)))
            assert state(app) is RunState.INCOMPLETE

    run(story())


def test_k_after_an_edit_asks_and_still_takes_rows_out(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            flights_file.edit("LIMIT_MPH = 700", "LIMIT_MPH = 690")
            await pilot.press("k")
            await screen_is(app, ChangedScreen, until)
            await pilot.press("right", "enter")
            await until(lambda: state(app) is RunState.INCOMPLETE)
            assert app.bridge.view().rows_quarantined >= 1

    run(story())


def test_pipeline_s_own_limits_hold_and_k_then_says_why_not(tmp_path, app_for, until):
    pipeline = numbers(tmp_path, 31, 33, on_error=Quarantine(max_rows=1, max_fraction=None))

    async def story():
        app = app_for(pipeline=pipeline)
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            assert app.bridge.error.kind == "QuarantineFull"
            assert not app.screen.situation().can_quarantine
            await pilot.press("k")
            await until(lambda: toasts(app))
            assert "on_error=Quarantine(max_rows=" in toasts(app)[-1]
            assert app.bridge.working is None
            assert len(app.bridge.runs) == 1

    run(story())


def test_k_uses_the_engine_s_limits_where_the_pipeline_has_none(tmp_path, app_for, until):
    async def story():
        app = app_for(pipeline=numbers(tmp_path, *range(30, 40)))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await pilot.press("k")
            await until(lambda: app.bridge.error is not None and app.bridge.error.kind == "QuarantineFull")
            assert app.bridge.view().frontier == 2

    run(story())


def test_k_that_finds_no_row_to_blame_says_so(tmp_path, app_for, until):
    def fails_when_whole(frame):
        if frame.height > 5:
            raise ValueError("too many")
        return frame

    steps = [FunctionBatchStep("sum", fails_when_whole)]

    async def story():
        app = app_for(pipeline=numbers(tmp_path, steps=steps))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await pilot.press("k")
            await until(lambda: any("No rows could be taken out of batch 0" in words for words in toasts(app)))

    run(story())


def test_rows_in_quarantine_are_data_and_obeyed_by_nobody(tmp_path, app_for, until):
    async def story():
        app = app_for(pipeline=numbers(tmp_path, 50))
        async with app.run_test(size=WIDE) as pilot:
            await quarantine_bad_rows(app, pilot, until)
            await pilot.press("6")
            pane = app.screen.query_one(QuarantinePane)
            await until(lambda: "[bold]no[/bold] ␛[31mnumber" in pane.shown_text)

    run(story())


# --- where it makes no sense ------------------------------------------------------------------------------


def still(view):
    return FakeBridge(view)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": None}, "It was no step that failed"),
        ({"error_type": "QuarantineFull"}, "on_error=Quarantine"),
        ({"start_row": None, "error_type": "SchemaDrift"}, "failed as a whole"),
    ],
)
def test_k_is_not_offered_and_tells_why(changes, words, app_for):
    view = replace(views.failed(), failures=(replace(views.flight_failure(), **changes),))

    async def story():
        app = app_for(bridge=still(view))
        async with app.run_test(size=WIDE) as pilot:
            await pilot.press("k")
            await pilot.pause()
            assert "Quarantine" not in str(app.screen.query_one("KeyFooter").render())
            assert words in toasts(app)[-1]
            assert not any(job == "starting" for job, _ in app.bridge.asked)

    run(story())


def test_k_is_not_offered_when_a_sink_failed(app_for):
    async def story():
        app = app_for(bridge=still(views.sink_failed()))
        async with app.run_test(size=WIDE) as pilot:
            await pilot.press("k")
            await pilot.pause()
            assert "k Quarantine" not in str(app.screen.query_one("KeyFooter").render())
            assert "r delivers it again" in toasts(app)[-1]

    run(story())


def test_k_is_offered_for_rows(app_for):
    async def story():
        app = app_for(bridge=still(views.failed()))
        async with app.run_test(size=WIDE) as pilot:
            await pilot.pause()
            assert "k Quarantine" in str(app.screen.query_one("KeyFooter").render())
            await pilot.press("k")
            assert ("starting", True) in app.bridge.asked

    run(story())


# --- export, reset ----------------------------------------------------------------------------------------


def test_quarantine_is_exported_to_a_file(flights_file, app_for, until, tmp_path):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await quarantine_bad_rows(app, pilot, until)
            await pilot.press("E")
            await screen_is(app, AskScreen, until)
            line = app.screen.query_one("#line")
            assert line.value == "flights-quarantine.csv"
            line.value = "rows.duckdb"
            await pilot.press("enter")
            assert isinstance(app.screen, AskScreen)
            path = tmp_path / "rows.csv"
            line.value = str(path)
            await pilot.press("enter")
            await until(lambda: any("The quarantine is in" in words for words in toasts(app)))
            with path.open(encoding="utf-8") as file:
                (row,) = csv.DictReader(file)
            assert (row["batch_id"], row["source_row"], row["step"]) == ("21", "216447", "check_speed")

    run(story())


def test_reset_says_that_quarantined_rows_go_too(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await quarantine_bad_rows(app, pilot, until)
            await pilot.press("R")
            await screen_is(app, ConfirmScreen, until)
            said = " ".join(str(line.render()) for line in app.screen.query(".dialog-line"))
            assert "34 batches, 336,776 source rows, 1 quarantined row and the" in said

    run(story())


def test_quarantine_of_an_earlier_session_is_shown_when_it_is_opened(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await quarantine_bad_rows(app, pilot, until)
            await pilot.press("q")
        again = app_for(str(flights_file.path))
        async with again.run_test(size=WIDE) as pilot:
            await until(lambda: state(again) is RunState.INCOMPLETE and again.bridge.loaded)
            await pilot.press("6")
            await until(lambda: "216,447" in again.screen.query_one(QuarantinePane).shown_text)

    run(story())


def test_quarantine_of_a_checkpoint_in_use_is_not_called_empty(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        with CheckpointStore(flights_file.checkpoint_dir):
            async with app.run_test(size=WIDE) as pilot:
                await until(lambda: app.bridge.error is not None)
                await pilot.press("6")
                await until(lambda: "can't be read: the checkpoint" in app.screen.query_one(QuarantinePane).shown_text)

    run(story())


def test_replay_stops_when_it_is_asked_to(tmp_path, app_for, until):
    gate, mended = threading.Semaphore(0), threading.Event()
    fail = fails_at(5, 15, 25, 35)

    def step(frame):
        if mended.is_set():
            gate.acquire(timeout=20)
            return frame
        return fail(frame)

    async def story():
        pipeline = numbers(tmp_path, steps=[FunctionBatchStep("parse", step)], on_error=Quarantine(max_fraction=None))
        app = app_for(pipeline=pipeline)
        async with app.run_test(size=WIDE) as pilot:
            await until(lambda: app.bridge.loaded and app.bridge.working is None)
            await pilot.press("r")
            await until(lambda: state(app) is RunState.INCOMPLETE)
            mended.set()
            await pilot.press("p")
            await until(lambda: app.screen.situation().replaying)
            gate.release()
            await pilot.press("s")
            gate.release(100)
            await until(lambda: app.bridge.working is None)
            assert 0 < app.bridge.view().rows_quarantined < 4

    run(story())


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

    def tokens(self, first_batch_id, last_batch_id):
        return {}

    def put(self, deliveries):
        unreachable()

    def drop_from(self, batch_id):
        pass


@pytest.mark.usefixtures("longest_waits")
@pytest.mark.parametrize("place", ["step", "fetch", "sink"])
def test_retry_is_counted_down_and_s_ends_the_wait(place, tmp_path, app_for, until):
    async def story():
        pipeline = BatchPipeline(
            [FunctionBatchStep("parse", unreachable if place == "step" else lambda frame: frame)],
            DeadSource(100) if place == "fetch" else NumberSource(100),
            batch_size=10, checkpoint_dir=tmp_path / "retries", workers=1, retry=RETRY,
            sinks=[DeadSink()] if place == "sink" else [],
        )  # fmt: skip
        app = app_for(pipeline=pipeline)
        async with app.run_test(size=WIDE) as pilot:
            await until(lambda: app.bridge.loaded and app.bridge.working is None)
            await pilot.press("r")
            steps = app.screen.query_one(StepsPane)
            await until(lambda: "retry 2/5 in 30 s" in steps.shown_text, told=lambda: steps.shown_text)
            await until(lambda: "retry 2/5 in 29 s" in steps.shown_text, told=lambda: steps.shown_text)
            await pilot.press("s")
            await until(lambda: state(app) in {RunState.RESUMABLE, RunState.IDLE})

    run(story())
