"""Percentiles of any number of values in fixed memory: a histogram with logarithmic buckets."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate

RELATIVE_ERROR = 0.01
SMALLEST, LARGEST = 1e-6, 1e6

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_LOG = 1 / math.log(_GAMMA)
_FIRST = math.ceil(math.log(SMALLEST) * _PER_LOG)
_BUCKETS = math.ceil(math.log(LARGEST) * _PER_LOG) - _FIRST + 1


class LogHistogram:
    """Counts of values; a quantile is within 1 % of the true one for values from 1e-6 to 1e6.

    Values outside that range (1e6 seconds are 11 days) count as its ends, zero and negative ones too. Bucket i
    holds the x with g**(i-1) < x <= g**i, where g = (1 + e) / (1 - e), and answers 2 * g**i / (g + 1), which
    is within the relative error e of all of them: C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and
    Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", PVLDB 12(12), 2019, §2. Here the range
    is fixed, 1,383 counters, instead of collapsing buckets.

    >>> histogram = LogHistogram()
    >>> for milliseconds in range(1, 101):
    ...     histogram.add(milliseconds / 1000)
    >>> [round(value, 3) for value in histogram.quantiles(0.5, 0.95)]
    [0.05, 0.095]
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS

    def add(self, value: float) -> None:
        """Count one value."""
        within = min(max(value, SMALLEST), LARGEST)
        self._counts[math.ceil(math.log(within) * _PER_LOG) - _FIRST] += 1

    def quantiles(self, *levels: float) -> tuple[float, ...]:
        """Return, for each level in (0, 1], the least value that at least this share of all values is at most.

        Empty when nothing was counted.
        """
        at_most = list(accumulate(self._counts))
        count = at_most[-1]
        if count == 0:
            return ()
        return tuple(_answer(bisect_left(at_most, math.ceil(level * count))) for level in levels)


def _answer(bucket: int) -> float:
    return float(2 * _GAMMA ** (bucket + _FIRST) / (_GAMMA + 1))
