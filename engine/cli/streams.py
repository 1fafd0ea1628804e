"""The two streams: results out, talk aside. Neither may hurt a run when nobody reads it any more.

A terminal that has gone answers with EIO, a closed pipe with EPIPE. Talk is dropped then; results end the
command quietly. What is left in a buffer would raise once more at exit and spoil the exit code, so a dead
stream is pointed at /dev/null.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from typing import IO


class ReaderGone(Exception):
    """Nobody reads stdout any more: there is no point in going on with output."""


def make_printable() -> None:
    """Let both streams escape what their encoding can't show instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def out(text: str) -> None:
    """Write a line of results. Raises `ReaderGone`."""
    write_result(sys.stdout, text + "\n")


def flush_out() -> None:
    """Hand over what is buffered. Raises `ReaderGone`."""
    write_result(sys.stdout, "", flush=True)


def write_result(stream: IO[str], text: str, *, flush: bool = False) -> None:
    """Write results to a stream that stands for stdout. Raises `ReaderGone`."""
    try:
        stream.write(text)
        if flush:
            stream.flush()
    except (OSError, ValueError) as error:
        abandon(stream)
        raise ReaderGone from error


def say(text: str) -> None:
    """Write a line of talk; nothing happens when there is nobody to hear it."""
    talk(text + "\n")


def talk(text: str) -> None:
    """Write talk as it is, at once."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        abandon(sys.stderr)


def abandon(stream: IO[str]) -> None:
    """Point a dead stream at nothing, so that what is still buffered goes there."""
    with suppress(OSError, ValueError):  # a stream without a descriptor needs none of this
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, stream.fileno())
        finally:
            os.close(nothing)
        stream.flush()


def shows(stream: IO[str], characters: str) -> bool:
    """Say whether the stream's encoding has these characters."""
    try:
        characters.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def columns(stream: IO[str]) -> int:
    """Return how wide the terminal behind the stream is, 80 when nobody knows."""
    with suppress(OSError, ValueError):
        wide = os.get_terminal_size(stream.fileno()).columns
        if wide > 0 and "COLUMNS" not in os.environ:
            return wide
    return shutil.get_terminal_size().columns


def is_screen(stream: IO[str]) -> bool:
    """Say whether the stream is a terminal that can go back to the start of a line."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") != "dumb"
    except ValueError:
        return False
