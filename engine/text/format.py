"""Numbers and times as text for people. The command line and the dashboard use the same functions.

All functions are pure: no clock, no locale; only `instant` and `time_of_day` read the local time zone. An unknown
value (None) becomes `NONE`. Invariant: a number is never rounded up across a limit that has a meaning: 99.96 % is
shown as 99.9 %, never as 100 %.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, tzinfo

NONE = "-"
SOURCE = "source"
"""What is in the place of a step's name when the source refuses rows."""
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
    """Return the whole number with a comma between thousands.

    >>> count(210000), count(None)
    ('210,000', '-')
    """
    return NONE if number is None else f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Return the number with its noun, singular or plural: "s" is added, "es" after "ch".

    A number before a noun is a count. An id comes after its noun: "21 batches" are many, "batch 21" is one of them.

    >>> counted(1, "batch"), counted(21, "batch"), counted(1200, "row")
    ('1 batch', '21 batches', '1,200 rows')
    """
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def refusing(step: str) -> str:
    """Return what refused rows: a step, or the source.

    >>> refusing("parse"), refusing(SOURCE)
    ("step 'parse'", 'the source')
    """
    return "the source" if step == SOURCE else f"step '{step}'"


def compact(number: float | None) -> str:
    """Return the number with three significant digits and k, M, G or T; in full up to 9,999.

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
    """Return the rate with three significant digits, `-` for 0.

    >>> rows_per_second(1_482_000), rows_per_second(0)
    ('1.48M', '-')
    """
    return compact(rate) if rate > 0 else NONE


def percent(fraction: float | None, digits: int = 1) -> str:
    """Return the fraction in percent. Further digits are cut off, not rounded: only 1.0 is 100 %.

    >>> percent(0.62412), percent(0.99999), percent(1.0), percent(None), percent(0.6241, digits=0)
    ('62.4%', '99.9%', '100%', '-', '62%')
    """
    if fraction is None:
        return NONE
    if fraction >= 1:
        return "100%"
    scale: int = 10**digits
    # Without 1e-9, 0.29 would be 28.9 %: 0.29 * 1000 is 289.99999999999994.
    return f"{math.floor(max(0.0, fraction) * 100 * scale + 1e-9) / scale:.{digits}f}%"


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units, without a space.

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
    for large, name, small, small_name in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m"), (_MINUTE, "m", 1, "s")):
        if whole >= large:
            return f"{whole // large}{name}{whole % large // small:02}{small_name}"
    return f"{whole}s"


def clock(seconds: float) -> str:
    """Return elapsed seconds as HH:MM:SS, rounded down; hours may exceed 24.

    >>> clock(252.9), clock(90_061)
    ('00:04:12', '25:01:01')
    """
    whole = int(max(0.0, seconds))
    return f"{whole // _HOUR:02}:{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"


def eta(seconds: float | None) -> str:
    """Return the estimated time to go. The longer it is, the coarser it is shown.

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
    """Return a number of bytes with three significant digits, in decimal units.

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
    """Return how long ago `then` was, in one unit; `just now` also if it is after `now` (the clock was set back).

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


def instant(at: datetime | None, zone: tzinfo | None = None) -> str:
    """Return an aware datetime to the second, in local time (or in `zone`), with the name of the zone.

    >>> from datetime import UTC, datetime
    >>> instant(datetime(2026, 1, 31, 12, 0, 3, tzinfo=UTC), UTC)
    '2026-01-31 12:00:03 UTC'
    """
    return NONE if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def time_of_day(at: datetime) -> str:
    """Return an aware datetime as HH:MM:SS in local time."""
    return f"{at.astimezone():%H:%M:%S}"


def next_attempt(failed: int, limit: int, seconds: float) -> str:
    """Return what follows attempt number `failed` of at most `limit`, in how many `seconds`.

    >>> next_attempt(1, 5, 7.2), next_attempt(1, 5, 0)
    ('retry 2/5 in 8 s', 'retry 2/5 now')
    """
    return f"retry {failed + 1}/{limit} " + (f"in {math.ceil(seconds):,} s" if seconds > 0 else "now")


def span(first: int, last: int, dash: str = EN_DASH) -> str:
    """Return the range with both ends, inclusive; one number if they are the same.

    >>> span(210_000, 219_999, "-"), span(21, 21)
    ('210,000-219,999', '21')
    """
    return f"{first:,}" if first == last else f"{first:,}{dash}{last:,}"


def spans(ids: Iterable[int], dash: str = EN_DASH, limit: int = 4) -> str:
    """Return a set of ids as ranges in rising order, at most `limit` of them, and how many ids are left out.

    >>> spans([21, 40, 41, 42, 21], "-"), spans(range(0, 12, 2), limit=3)
    ('21, 40-42', '0, 2, 4, +3')
    """
    ranges: list[list[int]] = []
    for number in sorted(set(ids)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = [span(first, last, dash) for first, last in ranges[:limit]]
    left_out = sum(last - first + 1 for first, last in ranges[limit:])
    return ", ".join([*shown, f"+{left_out:,}"] if left_out else shown)


def _short(number: float) -> str:
    if number == int(number) or abs(number) >= _ROUNDS_TO_100:
        return f"{round(number):,}"
    return _three_digits(number)


def _three_digits(number: float) -> str:
    if abs(number) < _ROUNDS_TO_10:
        return f"{number:.2f}"
    return f"{number:.1f}" if abs(number) < _ROUNDS_TO_100 else f"{number:.0f}"
