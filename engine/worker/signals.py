"""How a stop reaches the workers, and how batches wait for each other without a deadlock."""

from __future__ import annotations

import threading


class Abandoned(Exception):
    """This batch was abandoned and has no results. Internal: it never leaves the engine."""


class StopSignal:
    """A request to stop: begin no further batch; with `now`, abandon those in flight too.

    `asked` says whether a stop of either kind was requested, `now` whether batches in flight should be abandoned.
    """

    def __init__(self) -> None:
        self.asked = False
        self.now = False
        # Reentrant, unlike the lock of an Event: a second signal may interrupt the handler of the first one inside it.
        self._changed = threading.Condition(threading.RLock())

    def ask(self, *, now: bool = False) -> None:
        """Request a stop. Safe from any thread and from a signal handler."""
        with self._changed:
            self.now = self.now or now
            self.asked = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake up at once when a stop is requested; return whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self.asked, seconds)


class Turnstile:
    """Lets batches through one at a time, in the order of their ids."""

    def __init__(self, first_batch_id: int) -> None:
        self._next = first_batch_id
        self._broken_at: int | None = None
        self._condition = threading.Condition()

    def enter(self, batch_id: int) -> None:
        """Wait until every earlier batch has left. Raises `Abandoned` if one of them never will."""
        with self._condition:
            self._condition.wait_for(lambda: self._next == batch_id or self._is_cut_off(batch_id))
            if self._is_cut_off(batch_id):
                raise Abandoned

    def leave(self) -> None:
        """Let the next batch in."""
        with self._condition:
            self._next += 1
            self._condition.notify_all()

    def break_at(self, batch_id: int) -> None:
        """Let no batch in from this one on: it has failed. Earlier batches may still pass."""
        with self._condition:
            if self._broken_at is None or batch_id < self._broken_at:
                self._broken_at = batch_id
                self._condition.notify_all()

    def _is_cut_off(self, batch_id: int) -> bool:
        return self._broken_at is not None and batch_id >= self._broken_at
