"""COPY … TO STDOUT over psycopg's libpq layer (`psycopg.pq`), into one buffer.

The iteration in psycopg waits once for each row, which takes as long as everything else together. This module reads the
rows that have already arrived without waiting, and lets other threads run while it waits for more.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from psycopg import errors, pq

if TYPE_CHECKING:
    import psycopg


class Copied:
    """The rows in the order of arrival, in `text`, and where the last two begin."""

    __slots__ = ("height", "last", "last_but_one", "text")

    def __init__(self) -> None:
        self.text = bytearray()
        self.height = 0
        self.last = 0
        self.last_but_one = 0

    def row(self, number: int) -> bytes:
        """Return the last row, or the one before it."""
        if number == self.height - 1:
            return bytes(self.text[self.last :])
        if number == self.height - 2:
            return bytes(self.text[self.last_but_one : self.last])
        raise IndexError(number)


def copy_out(connection: psycopg.Connection[object], statement: str) -> Copied:
    """Return the output of a COPY statement, run in the transaction of the connection.

    Raises:
        psycopg.Error: the server refused the statement, or the connection broke.
    """
    pgconn = connection.pgconn
    pgconn.send_query(statement.encode(connection.info.encoding))
    begun = _next_result(pgconn)
    copied = Copied()
    if begun is not None and begun.status == pq.ExecStatus.COPY_OUT:
        _take_all(pgconn, copied)
        begun = None
    _end(pgconn, begun)
    return copied


def _take_all(pgconn: pq.abc.PGconn, copied: Copied) -> None:
    text, height, last, last_but_one = copied.text, 0, 0, 0
    take = pgconn.get_copy_data
    while True:
        size, row = take(1)
        if size > 0:
            last_but_one, last = last, len(text)
            text += row
            height += 1
        elif size == 0:
            _wait(pgconn)
        else:
            break
    copied.height, copied.last, copied.last_but_one = height, last, last_but_one


def _end(pgconn: pq.abc.PGconn, failed: pq.abc.PGresult | None) -> None:
    """Read all remaining results, so that the connection can be used again; raise the first error among them."""
    while (result := _next_result(pgconn)) is not None:
        if result.status != pq.ExecStatus.COMMAND_OK:
            failed = failed or result
    if failed is not None:
        raise errors.error_from_result(failed)


def _next_result(pgconn: pq.abc.PGconn) -> pq.abc.PGresult | None:
    while pgconn.flush():
        select.select([], [pgconn.socket], [])
    while pgconn.is_busy():
        _wait(pgconn)
    return pgconn.get_result()


def _wait(pgconn: pq.abc.PGconn) -> None:
    """Wait for bytes from the server, and read them."""
    select.select([pgconn.socket], [], [])
    pgconn.consume_input()
