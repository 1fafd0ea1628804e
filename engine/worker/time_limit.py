"""A call with a time limit.

Python can't end a thread. It can raise an exception in it from outside, which takes effect at the next instruction of
Python; a call into C that doesn't return never reaches one. So the call runs in a thread of its own, gets such an
exception when its time is over, and is abandoned if that has no effect.
(CPython's `PyThreadState_SetAsyncExc`, "C API: Initialization, Finalization, and Threads".)
"""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, TypeVar

from engine.errors import StepTimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_GRACE_SECONDS = 1.0


class _Ended(BaseException):
    """Raised in the thread whose time is over; not an Exception, so that a step's `except Exception` lets it pass."""


def call_with_limit(function: Callable[[], T], seconds: float) -> T:
    """Return what `function` returns, or raise what it raises.

    Raises:
        StepTimedOut: it took longer than `seconds`.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 (the caller gets it)
            errors.append(error)

    thread = threading.Thread(target=run, name="step-with-time-limit", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Ended))
        thread.join(_GRACE_SECONDS)
        raise StepTimedOut(seconds, ended=not thread.is_alive())
    if errors:
        raise errors[0]
    return results[0]
