"""The two output streams: results on stdout, messages on stderr. A run continues when nobody reads them.

A terminal that was closed fails with EIO, a closed pipe with EPIPE. Messages are dropped then; results end the
command without an error. Text that is still in a buffer would raise again at exit and change the exit code, so a dead
stream is redirected to /dev/null.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class ReaderGone(Exception):
    """Nobody reads stdout any more: more output is of no use."""


def make_printable() -> None:
    """Let both streams escape what their encoding can't show, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


@contextmanager
def user_output_on_stderr() -> Iterator[IO[str]]:
    """Send what the user's code prints to stderr, and give the real stdout, which is for results."""
    stdout = sys.stdout
    with redirect_stdout(sys.stderr):
        yield stdout


def print_result(*lines: str) -> None:
    """Write lines of results. Raises `ReaderGone`."""
    for line in lines:
        write_result(sys.stdout, line + "\n")


def flush_results() -> None:
    """Write what is still in the buffer. Raises `ReaderGone`."""
    write_result(sys.stdout, "", flush=True)


def write_result(stream: IO[str], text: str, *, flush: bool = False) -> None:
    """Write results to `stream`, which stands for stdout. Raises `ReaderGone`."""
    try:
        stream.write(text)
        if flush:
            stream.flush()
    except (OSError, ValueError) as error:
        _redirect_to_nothing(stream)
        raise ReaderGone from error


def print_message(*lines: str) -> None:
    """Write lines of messages at once; drop them if nobody reads stderr."""
    for line in lines:
        write_message(line + "\n")


def write_message(text: str) -> None:
    """Write a message as it is, without a line end, at once; drop it if nobody reads stderr."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        _redirect_to_nothing(sys.stderr)


def _redirect_to_nothing(stream: IO[str]) -> None:
    with suppress(OSError, ValueError):  # a stream without a descriptor needs none of this
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, stream.fileno())
        finally:
            os.close(nothing)
        stream.flush()


def can_show(stream: IO[str], characters: str) -> bool:
    """Return whether the encoding of the stream has these characters."""
    try:
        characters.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def width(stream: IO[str]) -> int:
    """Return the width of the stream's terminal in columns; 80 if it is unknown."""
    with suppress(OSError, ValueError):
        columns = os.get_terminal_size(stream.fileno()).columns
        if columns > 0 and "COLUMNS" not in os.environ:
            return columns
    return shutil.get_terminal_size().columns


def is_screen(stream: IO[str]) -> bool:
    """Return whether the stream is a terminal that can go back to the start of a line."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") != "dumb"
    except ValueError:
        return False
