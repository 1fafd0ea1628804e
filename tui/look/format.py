"""Numbers as people read them: exact where exactness matters, short where it doesn't.

Pure functions of their arguments, without a clock or a locale. `NONE` stands for what isn't known.
Invariant: nothing is rounded up across a border that has a meaning; 99.96 % is 99.9 %, never 100 %.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

NONE = "-"
EN_DASH = "\N{EN DASH}"
_MINUTE = 60
_HOUR = 3600
_DAY = 86_400
_JUST_NOW_SECONDS = 5

# From here on, rounding to three digits (or to whole milliseconds) would show the next power of ten.
_ROUNDS_TO_10 = 9.995
_ROUNDS_TO_100 = 99.95
_ROUNDS_TO_1000 = 999.5
_ROUNDS_TO_10000 = 9_999.5
_ROUNDS_TO_A_SECOND = 0.9995
_ROUNDS_TO_TEN_SECONDS = 9.95


def count(number: int | None) -> str:
    """Return the whole number with its thousands apart.

    >>> count(210000), count(None)
    ('210,000', '-')
    """
    return NONE if number is None else f"{number:,}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return the number with its noun, in the plural where English wants it.

    >>> counted(1, "batch", "batches"), counted(21, "batch", "batches"), counted(1200, "row")
    ('1 batch', '21 batches', '1,200 rows')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def compact(number: float | None) -> str:
    """Return the number in three significant digits with k, M, G or T; up to 9,999 as it is.

    >>> compact(1_482_000), compact(210_000), compact(8_123.4), compact(0.25), compact(14.84), compact(0)
    ('1.48M', '210k', '8,123', '0.25', '14.8', '0')
    >>> compact(999_999), compact(999_500_000), compact(None)
    ('1.00M', '1.00G', '-')
    """
    if number is None or not math.isfinite(number):
        return NONE
    if abs(number) < _ROUNDS_TO_10000:
        return _short(number)
    for unit in ("k", "M", "G"):
        number /= 1_000
        if abs(number) < _ROUNDS_TO_1000:
            return f"{_three_digits(number)}{unit}"
    return f"{_three_digits(number / 1_000)}T"


def rows_per_second(rate: float) -> str:
    """Return the rate short, `-` when nothing runs.

    >>> rows_per_second(1_482_000), rows_per_second(0)
    ('1.48M', '-')
    """
    return compact(rate) if rate > 0 else NONE


def percent(fraction: float | None, digits: int = 1) -> str:
    """Return the share in percent, cut and not rounded, so that only 1.0 is 100 %.

    >>> percent(0.62412), percent(0.99999), percent(1.0), percent(None), percent(0.6241, digits=0)
    ('62.4%', '99.9%', '100%', '-', '62%')
    """
    if fraction is None:
        return NONE
    if fraction >= 1:
        return "100%"
    scale: int = 10**digits
    # The nudge keeps 0.29 from becoming 28.9 %: 0.29 * 1000 is 289.99999999999994.
    return f"{math.floor(max(0.0, fraction) * 100 * scale + 1e-9) / scale:.{digits}f}%"


def duration(seconds: float | None) -> str:
    """Return a span in its two greatest units, without a space.

    >>> [duration(s) for s in (0.0004, 0.012, 0.85, 2.13, 59.96, 252.4, 3725, 180_000, None)]
    ['0ms', '12ms', '850ms', '2.1s', '1m00s', '4m12s', '1h02m', '2d02h', '-']
    """
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < _ROUNDS_TO_A_SECOND:
        return f"{max(0.0, seconds) * 1_000:.0f}ms"
    if seconds < _ROUNDS_TO_TEN_SECONDS:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for great, name, small, small_name in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m"), (_MINUTE, "m", 1, "s")):
        if whole >= great:
            return f"{whole // great}{name}{whole % great // small:02}{small_name}"
    return f"{whole}s"


def clock(seconds: float) -> str:
    """Return elapsed time as a clock that never runs ahead; hours may exceed 24.

    >>> clock(252.9), clock(90_061)
    ('00:04:12', '25:01:01')
    """
    whole = int(max(0.0, seconds))
    return f"{whole // _HOUR:02}:{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"


def eta(seconds: float | None) -> str:
    """Return the time to go as the estimate that it is: coarser the longer it takes.

    >>> [eta(s) for s in (None, 0.4, 42.3, 161.0, 1_234, 20_000)]
    ['-', '~1s', '~42s', '~2m40s', '~21m', '~5h35m']
    """
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < _MINUTE:
        return f"~{max(1, round(seconds))}s"
    if seconds < 10 * _MINUTE:
        tens = round(seconds / 10) * 10
        return f"~{tens // _MINUTE}m{tens % _MINUTE:02}s"
    if seconds < _HOUR:
        return f"~{round(seconds / _MINUTE)}m"
    fives = round(seconds / 300) * 5
    return f"~{fives // 60}h{fives % 60:02}m"


def size(byte_count: int | None) -> str:
    """Return a size in decimal units, three significant digits.

    >>> [size(n) for n in (0, 999, 5_400_000, 412_000_000, 41_200_000_000, None)]
    ['0 B', '999 B', '5.40 MB', '412 MB', '41.2 GB', '-']
    """
    if byte_count is None:
        return NONE
    number = byte_count / 1_000
    if number < 1:
        return f"{byte_count} B"
    for unit in ("kB", "MB", "GB"):
        if number < _ROUNDS_TO_1000:
            return f"{_three_digits(number)} {unit}"
        number /= 1_000
    return f"{_three_digits(number)} TB"


def ago(then: datetime | None, now: datetime) -> str:
    """Return how long ago, in one unit; a clock that was set back says `just now`.

    >>> from datetime import UTC, datetime, timedelta
    >>> noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    >>> [ago(noon - timedelta(seconds=s), noon) for s in (-5, 3, 59, 61, 7_300, 200_000)]
    ['just now', 'just now', '59s ago', '1m ago', '2h ago', '2d ago']
    """
    if then is None:
        return NONE
    seconds = int((now - then).total_seconds())
    if seconds < _JUST_NOW_SECONDS:
        return "just now"
    for unit, length in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds >= length:
            return f"{seconds // length}{unit} ago"
    return f"{seconds}s ago"


def instant(at: datetime | None) -> str:
    """Return an aware datetime to the second, with its zone.

    >>> from datetime import UTC, datetime
    >>> instant(datetime(2026, 1, 31, 12, 0, 3, tzinfo=UTC))
    '2026-01-31 12:00:03 UTC'
    """
    return NONE if at is None else f"{at:%Y-%m-%d %H:%M:%S %Z}"


def span(first: int, last: int, dash: str = EN_DASH) -> str:
    """Return both ends, inclusive, or the one number.

    >>> span(210_000, 219_999, "-"), span(21, 21)
    ('210,000-219,999', '21')
    """
    return f"{first:,}" if first == last else f"{first:,}{dash}{last:,}"


def spans(ids: Iterable[int], dash: str = EN_DASH, limit: int = 4) -> str:
    """Return a set of ids as runs in rising order, at most `limit` of them.

    >>> spans([21, 40, 41, 42, 21], "-"), spans(range(0, 12, 2), limit=3)
    ('21, 40-42', '0, 2, 4, +3')
    """
    runs: list[list[int]] = []
    for number in sorted(set(ids)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [span(first, last, dash) for first, last in runs[:limit]]
    left_off = sum(last - first + 1 for first, last in runs[limit:])
    return ", ".join([*shown, f"+{left_off:,}"] if left_off else shown)


def _short(number: float) -> str:
    if number == int(number) or abs(number) >= _ROUNDS_TO_100:
        return f"{round(number):,}"
    return _three_digits(number)


def _three_digits(number: float) -> str:
    if abs(number) < _ROUNDS_TO_10:
        return f"{number:.2f}"
    return f"{number:.1f}" if abs(number) < _ROUNDS_TO_100 else f"{number:.0f}"
