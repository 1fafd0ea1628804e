"""The batch loop, with an executor whose batches are done when and as the test says."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from engine.checkpoint.catalog.head import CatalogHead
from engine.checkpoint.parts.manifest import Manifest
from engine.errors import RowsNotContiguous, StepFailed
from engine.events import BatchCommitted, GroupCommitted
from engine.runs.batch_loop import BatchLoop
from engine.testing import TIMEOUT_SECONDS, EventLog
from engine.worker.signals import Abandoned, StopSignal


class Store:
    """Remembers what is committed, and refuses what doesn't follow it; nothing else."""

    def __init__(self, next_batch_id=0, next_row=0):
        self.next_batch_id = next_batch_id
        self.next_row = next_row
        self.commits = []

    def commit(self, manifests, *, replaces_last=False):
        if not replaces_last:
            CatalogHead(self.next_batch_id, self.next_row, epoch=0).after(manifests)
        self.commits.append([manifest.batch_id for manifest in manifests])
        self.replaced_last = replaces_last
        self.next_batch_id = manifests[-1].batch_id + 1
        self.next_row = manifests[-1].end_row + 1


class ByHand:
    """An executor that does nothing by itself."""

    workers = 2

    def __init__(self, window=4, script=None):
        self.window = window
        self.futures = {}
        self.script = script or (lambda executor, batch_id: None)
        self.most = 0
        self.shut = 0
        self._changed = threading.Condition()

    def start(self, recipe, *, stop, emit, on_done):
        self.on_done = on_done

    def submit(self, batch_id):
        with self._changed:
            self.futures[batch_id] = Future()
            self.most = max(self.most, sum(not future.done() for future in self.futures.values()))
            self._changed.notify_all()
        self.script(self, batch_id)
        return self.futures[batch_id]

    def shutdown(self):
        self.shut += 1

    def wait_for(self, batch_id):
        with self._changed:
            assert self._changed.wait_for(lambda: batch_id in self.futures, TIMEOUT_SECONDS)

    def done(self, batch_id, *, start_row=None):
        self.futures[batch_id].set_result(manifest(batch_id, start_row))
        self.on_done()

    def end(self, batch_id):
        self.futures[batch_id].set_result(None)
        self.on_done()

    def fail(self, batch_id, error=None):
        self.futures[batch_id].set_exception(error or StepFailed("a", batch_id, 0, 9, ValueError()))
        self.on_done()


def manifest(batch_id, start_row=None):
    start_row = 10 * batch_id if start_row is None else start_row
    return Manifest(batch_id, start_row, start_row + 9, 10, 1, 0, "ab", bytes_written=5, checksum="0" * 8)


def runner(executor, *, store=None, stop=None, log=None, **options):
    options = {"first_batch_id": 0} | options
    return BatchLoop(store or Store(), executor, stop=stop or StopSignal(), emit=log or EventLog(), **options)


def in_background(run):
    outcome = []

    def target():
        try:
            outcome.append(run.run(None))
        except BaseException as error:  # noqa: BLE001 (looked at by the test)
            outcome.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()

    def result():
        thread.join(TIMEOUT_SECONDS)
        assert outcome, "the loop hangs"
        return outcome[0]

    return result


def ends_at(last):
    """A script that does every batch at once, and ends the source behind `last`."""

    def script(executor, batch_id):
        executor.end(batch_id) if batch_id > last else executor.done(batch_id)

    return script


def test_it_ends_when_the_source_does():
    store = Store()
    executor = ByHand(script=ends_at(9))
    runner(executor, store=store).run(None)
    assert [batch for commit in store.commits for batch in commit] == list(range(10))
    assert executor.shut == 1


def test_an_empty_source_commits_nothing():
    store = Store()
    runner(ByHand(script=ends_at(-1)), store=store).run(None)
    assert store.commits == []


@pytest.mark.parametrize("window", [1, 2, 5])
def test_no_more_is_submitted_than_the_window_holds(window):
    executor = ByHand(window=window)
    result = in_background(runner(executor))
    executor.wait_for(window - 1)
    assert len(executor.futures) == window
    executor.done(0)
    executor.wait_for(window)
    assert len(executor.futures) == window + 1
    executor.fail(1)
    assert isinstance(result(), StepFailed)


def test_batches_done_out_of_order_are_committed_in_order():
    store, log = Store(), EventLog()
    executor = ByHand(window=4)
    result = in_background(runner(executor, store=store, log=log))
    executor.wait_for(3)
    executor.done(2)
    executor.done(1)
    executor.end(3)
    assert store.commits == []
    executor.done(0)
    assert result() is None
    assert [batch for commit in store.commits for batch in commit] == [0, 1, 2]
    assert [event.batch_id for event in log.of(BatchCommitted)] == [0, 1, 2]


def test_all_that_are_ready_share_a_commit():
    store, log = Store(), EventLog()
    executor = ByHand(window=4)
    result = in_background(runner(executor, store=store, log=log))
    executor.wait_for(3)
    for batch_id in (1, 2, 3):
        executor.futures[batch_id].set_result(manifest(batch_id))
    executor.done(0)
    executor.wait_for(4)
    executor.end(4)
    assert result() is None
    assert store.commits[0] == [0, 1, 2, 3]
    group = log.of(GroupCommitted)[0]
    assert (group.first_batch_id, group.last_batch_id) == (0, 3)


def test_what_is_ready_before_a_failure_is_committed_first():
    store = Store()
    executor = ByHand(window=4)
    result = in_background(runner(executor, store=store))
    executor.wait_for(3)
    executor.fail(2)
    executor.done(3)
    executor.done(1)
    executor.done(0)
    error = result()
    assert isinstance(error, StepFailed)
    assert error.batch_id == 2
    assert [batch for commit in store.commits for batch in commit] == [0, 1]
    assert executor.shut == 1


def test_the_earliest_failure_is_raised_whichever_came_first():
    executor = ByHand(window=4)
    result = in_background(runner(executor))
    executor.wait_for(3)
    executor.fail(3)
    executor.fail(1)
    executor.done(0)
    assert result().batch_id == 1


@pytest.mark.parametrize(
    ("start_row", "problem"), [(25, "rows 20 to 24 are missing"), (15, "were in the batch before")]
)
def test_rows_that_do_not_follow_end_the_run_there(start_row, problem):
    store = Store()
    executor = ByHand(window=4)
    result = in_background(runner(executor, store=store))
    executor.wait_for(3)
    executor.done(2, start_row=start_row)
    executor.done(3)
    executor.done(1)
    executor.done(0)
    error = result()
    assert isinstance(error, RowsNotContiguous)
    assert problem in str(error)
    assert [batch for commit in store.commits for batch in commit] == [0, 1]


def test_it_begins_where_the_store_stands():
    store = Store(next_batch_id=7, next_row=70)
    runner(ByHand(script=ends_at(9)), store=store, first_batch_id=7).run(None)
    assert [batch for commit in store.commits for batch in commit] == [7, 8, 9]


def test_the_last_batch_is_replaced_once():
    store = Store(next_batch_id=3, next_row=25)
    executor = ByHand(window=1, script=ends_at(3))
    runner(executor, store=store, first_batch_id=2, replaces_last=True).run(None)
    assert store.commits == [[2], [3]]
    assert store.replaced_last is False


# --- stop -----------------------------------------------------------------------------------------------


def test_a_graceful_stop_submits_nothing_more_and_commits_what_was():
    store, stop = Store(), StopSignal()
    executor = ByHand(window=3)
    result = in_background(runner(executor, store=store, stop=stop))
    executor.wait_for(2)
    stop.ask()
    for batch_id in (2, 1, 0):
        executor.done(batch_id)
    assert isinstance(result(), Abandoned)
    assert [batch for commit in store.commits for batch in commit] == [0, 1, 2]
    assert sorted(executor.futures) == [0, 1, 2]


def test_a_graceful_stop_drops_what_was_not_begun():
    store, stop = Store(), StopSignal()
    executor = ByHand(window=3)
    result = in_background(runner(executor, store=store, stop=stop))
    executor.wait_for(2)
    stop.ask()
    executor.fail(2, Abandoned())
    executor.done(1)
    executor.done(0)
    assert isinstance(result(), Abandoned)
    assert [batch for commit in store.commits for batch in commit] == [0, 1]


def test_a_stop_that_comes_when_everything_is_done_changes_nothing():
    store, stop = Store(), StopSignal()

    def script(executor, batch_id):
        if batch_id == 2:
            stop.ask()
        ends_at(1)(executor, batch_id)

    runner(ByHand(window=4, script=script), store=store, stop=stop).run(None)
    assert [batch for commit in store.commits for batch in commit] == [0, 1]


def test_a_failure_during_a_stop_is_a_failure():
    stop = StopSignal()
    executor = ByHand(window=2)
    result = in_background(runner(executor, stop=stop))
    executor.wait_for(1)
    stop.ask()
    executor.fail(0)
    assert isinstance(result(), StepFailed)


def test_a_stop_now_waits_for_nothing():
    store, stop = Store(), StopSignal()
    executor = ByHand(window=2)
    result = in_background(runner(executor, store=store, stop=stop))
    executor.wait_for(1)
    executor.done(1)
    stop.ask(now=True)
    assert isinstance(result(), Abandoned)
    assert store.commits == []
    assert executor.shut == 1


def test_an_executor_that_cannot_start_is_shut_down_too():
    class Broken(ByHand):
        def start(self, recipe, **_):
            raise RuntimeError("no threads left")

    executor = Broken()
    with pytest.raises(RuntimeError):
        runner(executor).run(None)
    assert executor.shut == 1


def test_a_commit_that_fails_ends_the_run():
    class Full(Store):
        def commit(self, manifests, *, replaces_last=False):
            raise OSError(28, "No space left on device")

    executor = ByHand(script=ends_at(5))
    with pytest.raises(OSError, match="No space"):
        runner(executor, store=Full()).run(None)
    assert executor.shut == 1
