"""The type of the values in a cursor, a snapshot or a step's settings, and how they are copied."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


def json_copy(value: object) -> Any:
    """Return a copy of the value as it will be read back from JSON: tuples become lists.

    Raises:
        TypeError, ValueError: it contains something that JSON can't hold, such as a datetime or NaN.

    >>> json_copy({"at": (1, 2)})
    {'at': [1, 2]}
    """
    return json.loads(json.dumps(value, allow_nan=False))
