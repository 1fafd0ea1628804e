"""Events on their way to the listeners. A listener can't hurt the run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.events import Event, Listener

_log = logging.getLogger(__name__)


class Emitter:
    """Calls each listener with each event, in the thread of the event."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)

    def __call__(self, event: Event) -> None:
        """Call the listeners; an error of one is logged, and has no other effect."""
        for listener in self._listeners:
            try:
                listener(event)
            except KeyboardInterrupt:  # from the user; it can come at any place
                raise
            except BaseException:  # noqa: BLE001 (the run continues, even after a SystemExit)
                _log.exception("a listener failed on %s and was ignored", type(event).__name__)
