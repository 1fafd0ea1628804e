"""Keeps the terminal for the screen: what other code writes to it goes to the log instead.

A panic in Rust, a warning of a C library or a child process writes to descriptors 1 and 2 without Python, over the
picture. While the block runs, the screen has a descriptor of its own, and those two lead into a pipe.
"""

from __future__ import annotations

import codecs
import os
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 65_536
_DRAIN_SECONDS = 1.0


@contextmanager
def own_terminal(written: Callable[[str], None]) -> Iterator[None]:
    """Keep descriptors 1 and 2 off the terminal; `written` is called in a thread with what is written to them."""
    streams = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    for stream in streams[:2]:
        stream.flush()
    kept = os.dup(1), os.dup(2)
    read_end, write_end = os.pipe()
    screen = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
    reader = threading.Thread(target=_pass_on, args=(read_end, written), name="stray output", daemon=True)
    reader.start()
    sys.stdout = sys.stderr = screen
    # Textual draws on the first one, and asks the second one for the size of the terminal.
    sys.__stdout__ = sys.__stderr__ = screen  # type: ignore[misc]
    os.dup2(write_end, 1)
    os.dup2(write_end, 2)
    os.close(write_end)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams[:2]
        sys.__stdout__, sys.__stderr__ = streams[2:]  # type: ignore[misc]
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        with suppress(OSError):  # the terminal is closed: nobody can see what would have been drawn
            screen.close()
        reader.join(_DRAIN_SECONDS)


def _pass_on(descriptor: int, written: Callable[[str], None]) -> None:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while chunk := os.read(descriptor, _CHUNK):
        written(decode(chunk))
    os.close(descriptor)
