"""Facts on their way to whoever listens. A listener can't hurt the run, whatever it does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.events import Event, Listener

_log = logging.getLogger(__name__)


class Emitter:
    """Calls each listener with each event, from whatever thread the event comes."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)

    def __call__(self, event: Event) -> None:
        """Hand on an event; a listener that raises is logged and misses this event, nothing else."""
        for listener in self._listeners:
            try:
                listener(event)
            except KeyboardInterrupt:  # the user's, and only by chance in here
                raise
            except BaseException:  # noqa: BLE001 (whatever a listener raises, also SystemExit, the run goes on)
                _log.exception("a listener failed on %s and was ignored", type(event).__name__)
