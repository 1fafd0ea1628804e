"""How a run is told to stop, and how batches wait for each other without being stuck."""

from __future__ import annotations

import threading


class Abandoned(Exception):
    """This batch was given up; nothing of it counts. It never leaves the engine."""


class StopSignal:
    """Asked once: begin no further batch. Asked with `now`: give up those in work as well."""

    def __init__(self) -> None:
        self._asked = False
        self._now = False
        # Reentrant, unlike the lock of an Event: a second signal may interrupt the handler of the first in here.
        self._changed = threading.Condition(threading.RLock())

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for, of either kind."""
        return self._asked

    @property
    def now(self) -> bool:
        """Whether what is in work should be given up."""
        return self._now

    def ask(self, *, now: bool = False) -> None:
        """Ask for a stop. Safe from any thread and from a signal handler."""
        with self._changed:
            self._now = self._now or now
            self._asked = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake up at once when a stop is asked for; say whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self._asked, seconds)


class Turnstile:
    """Lets batches through one at a time, in the order of their ids."""

    def __init__(self, first_batch_id: int) -> None:
        self._next = first_batch_id
        self._broken_at: int | None = None
        self._condition = threading.Condition()

    def enter(self, batch_id: int) -> None:
        """Wait until every earlier batch has left. Raises `Abandoned` when one of them never will."""
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
        """Let nobody in from this batch on: it has failed. Those before it may still pass."""
        with self._condition:
            if self._broken_at is None or batch_id < self._broken_at:
                self._broken_at = batch_id
                self._condition.notify_all()

    def _is_cut_off(self, batch_id: int) -> bool:
        return self._broken_at is not None and batch_id >= self._broken_at
