"""Events as JSON on stdout, one on each line, for programs that watch a run."""

from __future__ import annotations

import json
import threading
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING

from engine.cli.streams import ReaderGone, write_result
from engine.text.masking import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import DataclassInstance

    from engine.events import Event


class JsonLines:
    """A listener that writes each event to `stream`, until nobody reads it any more. Any thread may call it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.RLock()  # a signal handler may emit while its own thread is writing
        self._gone = False

    def __call__(self, event: Event) -> None:
        """Write one line; if that fails, write no more: the run continues."""
        with self._lock:
            if self._gone:
                return
            try:
                write_result(self._stream, line(event) + "\n", flush=True)
            except ReaderGone:
                self._gone = True


def line(event: Event) -> str:
    """Return the event as a JSON object: its type, then its fields; times as ISO 8601 in UTC, secrets masked.

    All characters outside ASCII are escaped, so that the line is safe on a terminal too.
    """
    return json.dumps({"type": type(event).__name__, **dict(_content(event))})


def _content(value: DataclassInstance) -> Iterator[tuple[str, object]]:
    """Yield the names and values of all fields; the fields of a nested value come in its place."""
    for field in fields(value):
        content = getattr(value, field.name)
        if is_dataclass(content) and not isinstance(content, type):
            yield from _content(content)
        else:
            yield field.name, _plain(content)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return mask_secrets(str(value))
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
