"""A bridge that stands still: it shows the view that it was given, and notes what it is asked for.

For tests and pictures: no thread, no engine, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.backend.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.checkpoint.catalog.records import RunRecord
    from engine.progress import RunView
    from tui.backend.jobs import ErrorReport, Job, JobResult


class StillBridge(Bridge):
    """Shows `view` and `runs`. `working` and `error` are as given; `asked` are the jobs asked for, in order."""

    def __init__(
        self,
        view: RunView,
        runs: Sequence[RunRecord] = (),
        *,
        working: Job | None = None,
        error: ErrorReport | None = None,
        loaded: bool = True,
    ) -> None:
        super().__init__()
        self.shown = view
        self.runs = tuple(runs)
        self.working = working
        self.error = error
        self.asked: list[tuple[Job | str, object]] = []
        self._loaded = loaded

    @property
    def loaded(self) -> bool:
        """Whether it behaves as if a pipeline were loaded."""
        return self._loaded

    def view(self) -> RunView:
        """Return the view that it was given."""
        return self.shown

    def stop(self, *, now: bool = False) -> None:
        """Note it."""
        self.asked.append(("stop", now))

    def read_batch(self, batch_id: int) -> None:
        """Note it."""
        self.asked.append(("batch", batch_id))

    def read_page(self, first_row: int, row_count: int) -> None:
        """Note it."""
        self.asked.append(("page", (first_row, row_count)))

    def read_quarantine(self, most: int) -> None:
        """Note it."""
        self.asked.append(("quarantine", most))

    def export_quarantine(self, path: str, *, overwrite: bool = False) -> None:
        """Note it."""
        self.asked.append(("export quarantine", (path, overwrite)))

    def export(self, path: str, *, overwrite: bool = False) -> None:
        """Note it."""
        self.asked.append(("export", (path, overwrite)))

    def close(self, seconds: float) -> bool:
        """There is nothing to wait for."""
        del seconds
        return True

    def tell(self, result: JobResult) -> None:
        """End a job as the real bridge would."""
        self.working = None
        self.error = result.error
        if self.deliver is not None:
            self.deliver(result)

    def _begin(self, job: Job, work: Callable[[], Any], asked: object = None) -> bool:
        del work
        self.asked.append((job, asked))
        return True
