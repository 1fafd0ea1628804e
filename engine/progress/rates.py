"""The speed of a run: counts per second for the screen, and a steadier pace for the forecast.

Times are seconds since the run began, and never decrease. Both use a fixed amount of memory.
"""

from __future__ import annotations

from typing import NamedTuple

HISTORY_SECONDS = 120
PACE_SECONDS = 60.0
PACE_SHARE = 0.25
PACE_BATCHES = 10
PACE_BATCH_SHARE = 0.1
_MARKS = 128


class SecondBuckets:
    """Counts for each of the last 120 seconds, in a ring.

    >>> rows = SecondBuckets()
    >>> rows.add(0.2, 100)
    >>> rows.add(1.9, 300)
    >>> rows.rate(2.0, over=5.0)
    200.0
    >>> rows.values(2.0)[-3:]
    (100, 300, 0)
    """

    __slots__ = ("_counts", "_newest")

    def __init__(self) -> None:
        self._counts = [0] * HISTORY_SECONDS
        self._newest = 0

    def add(self, elapsed: float, count: int) -> None:
        """Add `count` to the second in which `elapsed` is."""
        second = int(elapsed)
        if second != self._newest:
            self._turn_to(second)
        self._counts[second % HISTORY_SECONDS] += count

    def rate(self, elapsed: float, *, over: float) -> float:
        """Return the count per second over the last `over` seconds; whole buckets, so up to one second more."""
        second = int(elapsed)
        self._turn_to(second)
        buckets = min(int(over) + 1, HISTORY_SECONDS)
        covered = min(elapsed, buckets - 1 + elapsed - second)
        if covered <= 0:
            return 0.0
        start = second - buckets + 1
        return sum(self._counts[at % HISTORY_SECONDS] for at in range(start, second + 1)) / covered

    def values(self, elapsed: float) -> tuple[int, ...]:
        """Return the 120 counts, oldest first; the last one is of the second in which `elapsed` is."""
        self._turn_to(int(elapsed))
        oldest = (self._newest + 1) % HISTORY_SECONDS
        return tuple(self._counts[oldest:] + self._counts[:oldest])

    def _turn_to(self, second: int) -> None:
        for passed in range(max(self._newest, second - HISTORY_SECONDS) + 1, second + 1):
            self._counts[passed % HISTORY_SECONDS] = 0
        self._newest = max(self._newest, second)


class _Mark(NamedTuple):
    elapsed: float
    rows: int
    batches: int


class Pace:
    """Rows per second since an earlier commit, far enough back for a forecast.

    From that commit to the last one there are at least a quarter of the time of the run, 60 seconds, a tenth of the
    batches of the run, and 10 batches. Before that, the pace is measured from the start of the run. A span that grows
    with the run evens out short variations and still follows a lasting change. A stall makes the span longer but not
    emptier, so the forecast grows in proportion to it. At most 128 commits are kept to choose from; when there are
    more, every second one is dropped and their distance doubles.

    >>> pace = Pace()
    >>> for second in range(1, 11):
    ...     pace.add(float(second), rows=second * 1_000, batches=second)
    >>> pace.rows_per_second(10.0)
    1000.0
    """

    __slots__ = ("_distance", "_last", "_marks")

    def __init__(self) -> None:
        self._last = _Mark(0.0, 0, 0)
        self._marks = [self._last]
        self._distance = 1.0

    def add(self, elapsed: float, *, rows: int, batches: int) -> None:
        """Keep the run's totals after a commit."""
        self._last = _Mark(elapsed, rows, batches)
        if elapsed - self._marks[-1].elapsed >= self._distance:
            self._marks.append(self._last)
            if len(self._marks) > _MARKS:
                del self._marks[1::2]
                self._distance *= 2

    def rows_per_second(self, elapsed: float) -> float:
        """Return the pace at `elapsed`, 0 before the first commit."""
        latest = self._last.elapsed - max(PACE_SECONDS, elapsed * PACE_SHARE)
        batches = self._last.batches - max(PACE_BATCHES, self._last.batches * PACE_BATCH_SHARE)
        since = next(
            (mark for mark in reversed(self._marks) if mark.elapsed <= latest and mark.batches <= batches),
            self._marks[0],
        )
        span = elapsed - since.elapsed
        return (self._last.rows - since.rows) / span if span > 0 else 0.0
