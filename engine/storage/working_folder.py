"""Relative paths of users: they are looked up in the working folder once, when the object that has them is made.

Code of the user may change the working folder at any time, in a step for example. What a path means must not change.
"""

from __future__ import annotations

from pathlib import Path

from engine.errors import UsageError


def absolute(path: str | Path) -> Path:
    """Return the path from the root. Links and `..` stay: a link that is moved later leads to its new place.

    Raises:
        UsageError: the path is relative, and the working folder has been deleted.
    """
    try:
        return Path(path).absolute()
    except FileNotFoundError as error:
        raise UsageError(
            f"the relative path {path} can't be looked up: the working folder has been deleted",
            hint="Change to a folder that exists, or give the path from the root.",
        ) from error
