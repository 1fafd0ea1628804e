"""The type of everything that goes into a cursor, a snapshot or a step's settings, and the way it takes there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


def stored(value: object) -> Any:
    """Return the value as it will be read back: a copy that nobody changes any more, tuples as lists.

    Raises:
        TypeError, ValueError: it has something in it that JSON doesn't know, such as a datetime or NaN.

    >>> stored({"at": (1, 2)})
    {'at': [1, 2]}
    """
    return json.loads(json.dumps(value, allow_nan=False))
