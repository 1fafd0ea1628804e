"""A page of rows as it arrived from the database, and a thread that reads the next page ahead."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl


class SqlPage(Protocol):
    """Rows that have arrived; they are converted to a frame only when it is needed."""

    height: int

    def row(self, number: int) -> pl.DataFrame:
        """Return one row, as a frame."""

    def frame(self) -> pl.DataFrame:
        """Return all rows."""


class FramePage:
    """A page that arrived as a frame."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self.height = frame.height

    def row(self, number: int) -> pl.DataFrame:
        """Return one row."""
        return self._frame[number : number + 1]

    def frame(self) -> pl.DataFrame:
        """Return the frame."""
        return self._frame


class ReadAhead:
    """Reads the next page in a thread while the caller processes the last one; never more than one page ahead.

    `read` gets the last key before the page. Only one thread at a time may use this object.
    """

    def __init__(self, read: Callable[[Any], SqlPage]) -> None:
        self._read = read
        self._next: tuple[Any, Future[SqlPage], threading.Thread] | None = None

    def take(self, after: Any) -> SqlPage:
        """Return the page after this key; it may have been read ahead. Raises the errors of `read`."""
        expected, self._next = self._next, None
        if expected is None:
            return self._read(after)
        page = expected[1].result()
        return page if expected[0] == after else self._read(after)

    def begin(self, after: Any) -> None:
        """Begin to read the page after this key."""
        page: Future[SqlPage] = Future()

        def read() -> None:
            try:
                page.set_result(self._read(after))
            except BaseException as error:  # noqa: BLE001 (`take` raises it)
                page.set_exception(error)

        thread = threading.Thread(target=read, name="read-ahead", daemon=True)
        self._next = after, page, thread
        thread.start()

    def cancel(self, seconds: float | None = None) -> bool:
        """Drop the page that is being read and wait for its thread, at most `seconds`; return whether it has ended."""
        expected, self._next = self._next, None
        if expected is None:
            return True
        expected[2].join(seconds)
        return not expected[2].is_alive()
