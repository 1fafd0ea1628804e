from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from engine.errors import UsageError
from engine.executors.threads import ThreadExecutor, default_workers
from engine.testing import TIMEOUT_SECONDS, EventLog
from engine.worker.signals import StopSignal


class Work:
    """A recipe whose work gives back twice the id; holds the batches in `held` until it is let go."""

    def __init__(self, *held, ordered=True, patient=False):
        self.held = set(held)
        self.ordered = ordered
        self.patient = patient
        self.begun = []
        self.given_up = False
        self._changed = threading.Condition()

    def work(self, *, stop, emit, source=None):
        return self

    def __call__(self, batch_id):
        with self._changed:
            self.begun.append(batch_id)
            self._changed.notify_all()
            self._changed.wait_for(lambda: batch_id not in self.held, TIMEOUT_SECONDS)
        if batch_id < 0:
            raise ValueError(batch_id)
        return 2 * batch_id

    def wait_for(self, *batch_ids):
        with self._changed:
            assert self._changed.wait_for(lambda: set(batch_ids) <= set(self.begun), TIMEOUT_SECONDS)

    def cancel_from(self):
        self.given_up = True
        if not self.patient:
            self.let_go()

    def let_go(self):
        with self._changed:
            self.held.clear()
            self._changed.notify_all()


@pytest.fixture
def short_grace(monkeypatch):
    monkeypatch.setattr("engine.executors.threads._GRACE_SECONDS", 0.05)


def start(executor, work, on_done=lambda: None):
    executor.start(work, stop=StopSignal(), emit=EventLog(), on_done=on_done)


def started(work, workers=2, on_done=lambda: None):
    executor = ThreadExecutor(workers)
    start(executor, work, on_done)
    return executor


def test_one_batch_more_than_there_are_cores_and_four_at_most():
    assert 1 <= default_workers() <= 4
    assert ThreadExecutor().workers == default_workers()


def test_the_window_grows_with_the_workers():
    assert [ThreadExecutor(workers).window for workers in (1, 2, 4)] == [4, 8, 16]


def test_each_batch_has_its_answer():
    executor = started(Work())
    futures = [executor.submit(batch_id) for batch_id in range(20)]
    assert [future.result(TIMEOUT_SECONDS) for future in futures] == list(range(0, 40, 2))
    executor.shutdown()


def test_what_the_work_raises_is_in_the_future():
    executor = started(Work())
    with pytest.raises(ValueError, match="-3"):
        executor.submit(-3).result(TIMEOUT_SECONDS)
    assert executor.submit(4).result(TIMEOUT_SECONDS) == 8
    executor.shutdown()


def test_each_batch_that_is_done_is_announced_when_its_answer_is_there():
    seen = []
    executor = ThreadExecutor(1)
    futures = []
    done = threading.Event()

    def on_done():
        seen.append(futures[len(seen)].done())
        if len(seen) == 2:
            done.set()

    work = Work(0)
    start(executor, work, on_done)
    futures += [executor.submit(0), executor.submit(-1)]
    work.let_go()
    assert done.wait(TIMEOUT_SECONDS)
    assert seen == [True, True]
    executor.shutdown()


def test_as_many_batches_are_worked_on_as_there_are_workers():
    work = Work(*range(10))
    executor = started(work, workers=3)
    for batch_id in range(10):
        executor.submit(batch_id)
    work.wait_for(0, 1, 2)
    assert sorted(work.begun) == [0, 1, 2]
    executor.shutdown()


def test_shutting_down_begins_nothing_more_and_ends_the_threads():
    before = threading.active_count()
    work = Work(0, 1)
    executor = started(work)
    futures = [executor.submit(batch_id) for batch_id in range(10)]
    work.wait_for(0, 1)
    executor.shutdown()
    assert work.given_up
    assert sorted(work.begun) == [0, 1]
    assert threading.active_count() == before
    with pytest.raises(CancelledError):
        futures[9].result(TIMEOUT_SECONDS)


def test_shutting_down_twice_or_before_the_start_does_no_harm():
    before = threading.active_count()
    executor = ThreadExecutor(2)
    executor.shutdown()
    start(executor, Work())
    assert executor.submit(3).result(TIMEOUT_SECONDS) == 6
    executor.shutdown()
    executor.shutdown()
    assert threading.active_count() == before


def test_a_batch_that_hangs_is_left_behind_after_a_while(short_grace):
    work = Work(0, patient=True)
    executor = started(work)
    executor.submit(0)
    work.wait_for(0)
    executor.shutdown()
    work.let_go()


def test_while_a_batch_hangs_nothing_is_begun_that_takes_one_at_a_time(short_grace):
    work = Work(0, patient=True)
    executor = started(work)
    executor.submit(0)
    work.wait_for(0)
    executor.shutdown()
    with pytest.raises(UsageError, match="still running in this process") as caught:
        start(executor, Work())
    assert "end this process" in caught.value.hint
    work.let_go()
    start(executor, Work())
    assert executor.submit(3).result(TIMEOUT_SECONDS) == 6
    executor.shutdown()


def test_a_thread_that_was_left_behind_takes_nothing_from_the_next_run(short_grace):
    hanging = Work(0, ordered=False, patient=True)
    executor = started(hanging, workers=1)
    executor.submit(0)
    hanging.wait_for(0)
    executor.shutdown()
    (left_behind,) = executor._threads
    second = Work(5, ordered=False)
    start(executor, second)
    futures = [executor.submit(batch_id) for batch_id in range(5, 10)]
    second.wait_for(5)
    hanging.let_go()
    left_behind.join(TIMEOUT_SECONDS)  # it finds nothing to do in its own run, and ends
    assert not left_behind.is_alive()
    second.let_go()
    assert [future.result(TIMEOUT_SECONDS) for future in futures] == [10, 12, 14, 16, 18]
    assert hanging.begun == [0]
    executor.shutdown()
