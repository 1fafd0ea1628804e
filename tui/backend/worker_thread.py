"""A thread that does one job after the other, and never keeps the process from ending.

Invariant: whatever a job raises, a BaseException too, ends in exactly one report; nothing is lost silently.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from tui.backend.jobs import ErrorReport, Job, JobResult

if TYPE_CHECKING:
    from collections.abc import Callable


class WorkerThread:
    """Does jobs in order in a thread of its own, which starts with the first one.

    `report` is called in that thread, once for each job.
    """

    def __init__(self, name: str, report: Callable[[JobResult], None]) -> None:
        self._name = name
        self._report = report
        self._jobs: SimpleQueue[tuple[Job, Callable[[], Any], Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, job: Job, work: Callable[[], Any], asked: object = None) -> None:
        """Do `work` when everything before it is done; returns at once."""
        if self._thread is None:
            # A daemon, because a step that hangs in foreign code must not hold the exit for ever: `close`
            # waits, for as long as its caller finds right.
            self._thread = threading.Thread(target=self._go_on, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((job, work, asked))

    def close(self, seconds: float) -> bool:
        """Take no more jobs, wait for those that were given; say whether all are done. May be called again."""
        if self._thread is None:
            return True
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _go_on(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, work, asked = given
            try:
                result = JobResult(job, work(), asked=asked)
            except BaseException as error:  # noqa: BLE001 (a PanicException of Polars is no Exception)
                result = JobResult(job, error=ErrorReport.of(error), asked=asked)
            self._report(result)
            del given, work, result  # an idle thread must not hold on to a page of rows
