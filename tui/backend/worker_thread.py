"""A thread that does one job at a time, and never keeps the process from ending.

Invariant: each job ends in exactly one report, whatever it raises, a BaseException included.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from tui.backend.jobs import ErrorReport, Job, JobResult

if TYPE_CHECKING:
    from collections.abc import Callable


class WorkerThread:
    """Does jobs in order in a thread of its own, which starts with the first job.

    `report` is called in that thread, once for each job.
    """

    def __init__(self, name: str, report: Callable[[JobResult], None]) -> None:
        self._name = name
        self._report = report
        self._jobs: SimpleQueue[tuple[Job, Callable[[], Any], Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, job: Job, work: Callable[[], Any], asked: object = None) -> None:
        """Do `work` after all jobs before it; return at once."""
        if self._thread is None:
            # A daemon, because a step that hangs in foreign code must not block the exit for ever: `close` waits as
            # long as its caller wants.
            self._thread = threading.Thread(target=self._work_off, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((job, work, asked))

    def close(self, seconds: float) -> bool:
        """Take no more jobs and wait for the others; return whether all are done. May be called again."""
        if self._thread is None:
            return True
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work_off(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, work, asked = given
            try:
                result = JobResult(job, work(), asked=asked)
            except BaseException as error:  # noqa: BLE001 (a PanicException of Polars is no Exception)
                result = JobResult(job, error=ErrorReport.of(error), asked=asked)
            self._report(result)
            del given, work, result  # an idle thread must not keep a page of rows alive
