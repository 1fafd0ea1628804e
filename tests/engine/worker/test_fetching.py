from __future__ import annotations

import math
import threading

import polars as pl
import pytest

from engine.batch import Batch
from engine.errors import FetchFailed, SourceContractBroken, SourceNotFound
from engine.events import AttemptFailed
from engine.policy import RetryPolicy
from engine.sources.base import Position
from engine.testing import TIMEOUT_SECONDS, EventLog, NumberSource, SeekableNumbers, TransientError, numbers
from engine.worker.fetching import Source
from engine.worker.signals import Abandoned, StopSignal


def source(fetcher, *, first_batch_id=0, retry=None, stop=None, emit=None):
    return Source(
        fetcher,
        batch_size=10,
        first_batch_id=first_batch_id,
        retry=retry,
        stop=stop or StopSignal(),
        emit=emit or EventLog(),
    )


def test_it_hands_on_what_the_fetcher_gives():
    fetched = source(NumberSource(25)).fetch(0)
    assert (fetched.batch.batch_id, fetched.batch.start_row, fetched.batch.end_row) == (0, 0, 9)
    assert fetched.batch.data["id"].to_list() == list(range(10))
    assert (fetched.cursor, fetched.attempts) == (None, 1)
    assert fetched.seconds >= 0


def test_a_seekable_source_gives_its_cursor():
    fetcher = SeekableNumbers(25)
    fetcher.open(Position())
    opened = source(fetcher)
    assert [opened.fetch(batch_id).cursor for batch_id in range(3)] == [
        {"next_row": 10},
        {"next_row": 20},
        {"next_row": 25},
    ]


def test_none_is_the_end_and_nobody_asks_again():
    fetcher = NumberSource(10)
    asked = source(fetcher)
    assert asked.fetch(0).batch.size == 10
    assert [asked.fetch(batch_id) for batch_id in (1, 2, 3)] == [None, None, None]
    assert fetcher.calls == [0, 1]


def test_a_batch_without_rows_is_a_batch():
    asked = source(lambda batch_id, size: Batch(batch_id, 0, -1, numbers(0, 0)) if batch_id < 2 else None)
    assert [asked.fetch(batch_id) is None for batch_id in range(3)] == [False, False, True]


def test_a_plain_callable_is_asked_in_order_and_one_at_a_time():
    inside, calls = [], []

    def fetch(batch_id, batch_size):
        inside.append(batch_id)
        assert len(inside) == 1
        calls.append(batch_id)
        inside.pop()
        return Batch(batch_id, batch_id * 10, batch_id * 10 + 9, numbers(0, 10))

    asked = source(fetch)
    threads = [threading.Thread(target=asked.fetch, args=(batch_id,), daemon=True) for batch_id in (3, 1, 2, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert calls == [0, 1, 2, 3]


def test_a_concurrent_source_is_asked_by_several_at_once():
    both = threading.Barrier(2, timeout=TIMEOUT_SECONDS)

    class Meeting(SeekableNumbers):
        def __call__(self, batch_id, batch_size):
            both.wait()
            return super().__call__(batch_id, batch_size)

    fetcher = Meeting(100, concurrent=True)
    fetcher.open(Position())
    asked = source(fetcher)
    threads = [threading.Thread(target=asked.fetch, args=(batch_id,), daemon=True) for batch_id in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert sorted(fetcher.calls) == [0, 1]


def test_it_begins_where_the_run_does():
    fetcher = NumberSource(100)
    assert source(fetcher, first_batch_id=4).fetch(4).batch.start_row == 40


# --- failures -------------------------------------------------------------------------------------------


def test_an_error_of_the_fetcher_is_a_failed_fetch():
    with pytest.raises(FetchFailed, match="fetching batch 0 failed: ConnectionError: gone") as caught:
        source(NumberSource(10, errors={0: [ConnectionError("gone")]})).fetch(0)
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert caught.value.batch_id == 0


@pytest.mark.parametrize("error", [SystemExit(1), pl.exceptions.PanicException("x"), KeyboardInterrupt()])
def test_whatever_the_fetcher_raises_is_a_failed_fetch(error):
    def fetch(batch_id, batch_size):
        raise error

    with pytest.raises(FetchFailed):
        source(fetch).fetch(0)


def test_an_error_that_is_ours_already_stays_what_it_is():
    def fetch(batch_id, batch_size):
        raise SourceNotFound("no file x.parquet", hint="Look elsewhere.")

    with pytest.raises(SourceNotFound, match="no file") as caught:
        source(fetch).fetch(0)
    assert caught.value.hint == "Look elsewhere."


def test_a_transient_error_is_tried_again_and_counted():
    fetcher = NumberSource(10, errors={0: [TransientError(), TransientError()]})
    policy = RetryPolicy(transient=(TransientError,), base_seconds=0)
    fetched = source(fetcher, retry=policy).fetch(0)
    assert (fetched.attempts, fetcher.calls) == (3, [0, 0, 0])


class Flaky(SeekableNumbers):
    """Fails twice before its first batch, and says itself what is worth another try."""

    retry = RetryPolicy(transient=(TransientError,), base_seconds=0)

    def __init__(self):
        super().__init__(10)
        self.failures = 2
        self.open(Position())

    def __call__(self, batch_id, batch_size):
        if self.failures:
            self.failures -= 1
            raise TransientError
        return super().__call__(batch_id, batch_size)


@pytest.mark.parametrize("pipelines", [None, RetryPolicy(), RetryPolicy(transient=(ValueError,), max_attempts=1)])
def test_a_fetcher_that_has_a_retry_policy_is_retried_by_it(pipelines):
    log = EventLog()
    assert source(Flaky(), retry=pipelines, emit=log).fetch(0).attempts == 3
    assert [(event.attempt, event.step) for event in log.of(AttemptFailed)] == [(1, None), (2, None)]


def test_a_fetcher_without_one_is_retried_by_that_of_the_pipeline():
    fetcher = Flaky()
    fetcher.retry = None
    policy = RetryPolicy(transient=(TransientError,), base_seconds=0)
    assert source(fetcher, retry=policy).fetch(0).attempts == 3


def test_attempts_are_told_when_it_gives_up():
    fetcher = NumberSource(10, errors={0: [TransientError()] * 9})
    policy = RetryPolicy(transient=(TransientError,), base_seconds=0, max_attempts=3)
    with pytest.raises(FetchFailed, match="after 3 attempts") as caught:
        source(fetcher, retry=policy).fetch(0)
    assert caught.value.attempts == 3


def test_behind_a_failed_fetch_nobody_waits_for_ever():
    asked = source(NumberSource(100, errors={0: [ValueError()]}))
    outcome = []

    def second():
        try:
            asked.fetch(1)
        except Abandoned:
            outcome.append("abandoned")

    thread = threading.Thread(target=second, daemon=True)
    thread.start()
    with pytest.raises(FetchFailed):
        asked.fetch(0)
    asked.cancel_from(0)
    thread.join(TIMEOUT_SECONDS)
    assert outcome == ["abandoned"]


# --- the contract ---------------------------------------------------------------------------------------

TEN = numbers(0, 10)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (pl.concat([TEN, TEN]), "it is a DataFrame with more rows than the batch size"),
        (False, "it is a bool, not a Batch"),
        ([], "it is a list, not a Batch"),
        ((0, 0, 9, TEN), "it is a tuple, not a Batch"),
        (Batch(0, 0, 9, TEN.lazy()), "its data is a LazyFrame, not a Polars DataFrame"),
        (Batch(0, 0, 9, None), "its data is a NoneType, not a Polars DataFrame"),
        (Batch(0, 0, 9, {"id": [1]}), "its data is a dict, not a Polars DataFrame"),
        (Batch(1, 0, 9, TEN), "it says batch 1"),
        (Batch(0, 0, 10, TEN), "it says rows 0 to 10, which are 11, but holds 10"),
        (Batch(0, 0, 8, TEN), "it says rows 0 to 8, which are 9, but holds 10"),
        (Batch(0, 5, 4, TEN), "it says rows 5 to 4, which are 0, but holds 10"),
        (Batch(0, 9, 0, TEN), "holds 10"),
        (Batch(0, 0.0, 9.0, TEN), "its start_row is 0.0 of type float, not int"),
        (Batch(0, "0", "9", TEN), "its start_row is '0' of type str, not int"),
        (Batch(0, None, None, TEN), "its start_row is None of type NoneType, not int"),
        (Batch(True, 0, 9, TEN), "its batch_id is True of type bool, not int"),
    ],
    ids=range(16),
)
def test_an_answer_that_is_not_the_batch_is_refused(answer, problem):
    with pytest.raises(SourceContractBroken) as caught:
        source(lambda batch_id, size: answer).fetch(0)
    assert problem in str(caught.value)
    assert "Batch(batch_id, start_row, end_row, data)" in caught.value.hint


@pytest.mark.parametrize("cursor", [{"at": object()}, {"at": math.nan}, {"at": {1}}, None, "row 5", {"at": b"x"}])
def test_a_cursor_that_is_no_json_object_is_refused(cursor):
    class Odd(SeekableNumbers):
        def cursor_after(self, batch):
            return cursor

    fetcher = Odd(100)
    fetcher.open(Position())
    with pytest.raises(SourceContractBroken, match="cursor"):
        source(fetcher).fetch(0)


def test_a_cursor_that_cannot_be_told_is_a_failed_fetch():
    class Odd(SeekableNumbers):
        def cursor_after(self, batch):
            raise ValueError("lost")

    fetcher = Odd(100)
    fetcher.open(Position())
    with pytest.raises(FetchFailed, match="lost"):
        source(fetcher).fetch(0)


def test_a_cursor_that_changes_later_is_kept_as_it_was():
    class Live(SeekableNumbers):
        live = {}  # noqa: RUF012 (one for all is the trap)

        def cursor_after(self, batch):
            self.live["next_row"] = batch.end_row + 1
            return self.live

    fetcher = Live(100)
    fetcher.open(Position())
    asked = source(fetcher)
    first, second = asked.fetch(0), asked.fetch(1)
    assert (first.cursor, second.cursor) == ({"next_row": 10}, {"next_row": 20})
