"""A checkpoint folder as those see it who don't run the pipeline: frontier, parts, history.

Invariant: looking makes nothing. A folder without a checkpoint stays as it is, and while another process holds
the checkpoint only its mirror file and its published parts are read, never the catalog.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.checkpoint.location import located
from engine.checkpoint.lock import holder
from engine.checkpoint.parts import parts
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointLocked, UsageError
from engine.frontier import Frontier
from engine.state import RunState
from engine.storage import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.checkpoint.catalog.records import RunRecord
    from engine.checkpoint.layout import Layout
    from engine.events import FailureRecord
    from engine.storage.files import StoredPath
    from engine.storage.objects import ObjectPath


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a checkpoint stands.

    `held_by` describes the process that is at work on it, and is None when there is none; then `runs` and
    `failures` are the latest of each, newest first. They are empty while it is held, and `rows_quarantined` is None.
    """

    state: RunState
    frontier: Frontier
    held_by: str | None = None
    runs: tuple[RunRecord, ...] = ()
    failures: tuple[FailureRecord, ...] = ()
    rows_quarantined: int | None = None


class CheckpointView:
    """Looks at the checkpoint in `folder`. Holds nothing open between calls.

    `remote` is where its results are in object storage; None when the folder says it, or has them.
    """

    def __init__(self, folder: str | Path, remote: ObjectPath | None = None) -> None:
        self.folder = Path(folder)
        self._remote = remote

    @property
    def layout(self) -> Layout:
        """Where everything lies: the folder says it."""
        return located(self.folder)

    def exists(self) -> bool:
        """Say whether there is a checkpoint, sound or not."""
        layout = self.layout
        return layout.catalog.exists() or layout.guard.exists() or parts.any_published(layout)

    def require(self) -> None:
        """Raise `UsageError` unless there is a checkpoint."""
        if not self.exists():
            raise UsageError(
                f"there is no checkpoint in {self.folder}",
                hint="Name the folder that holds checkpoint.duckdb, or run the pipeline first.",
            )

    @contextmanager
    def open(self) -> Iterator[CheckpointStore | None]:
        """Open the checkpoint for as long as the block takes; None when there is none.

        Raises:
            CheckpointError: as `CheckpointStore`.
        """
        if not self.exists():
            yield None
            return
        with CheckpointStore(self.folder, self._remote) as store:
            yield store

    def frontier(self, steps: Sequence[str] | None = None) -> Frontier:
        """Return the committed frontier; while a run holds the checkpoint, as its mirror file has it.

        `steps` are the names that it is told for, those recorded last when None.

        Raises:
            FrontierUnreadable: the checkpoint is held, and its mirror file is not a frontier.
        """
        try:
            with self.open() as store:
                if store is None:
                    return Frontier.at_start(steps or ())
                return store.frontier(store.history.steps() if steps is None else steps)
        except CheckpointLocked:
            return Frontier.load(self.layout.frontier_file)

    def committed_parts(self) -> list[StoredPath]:
        """Return the parts behind the frontier, in batch order. Works while a run goes on as well."""
        # Parts get their final name before the mirror tells of them, so all of these are there.
        layout = self.layout
        return [layout.part(batch_id) for batch_id in range(self.frontier().next_batch_id)]

    def standing(self, steps: Sequence[str] | None = None) -> Standing:
        """Return where the checkpoint stands. Raises `CheckpointError` when it can't be told."""
        try:
            with self.open() as store:
                if store is None:
                    return Standing(RunState.IDLE, Frontier.at_start(steps or ()), rows_quarantined=0)
                frontier = store.frontier(store.history.steps() if steps is None else steps)
                history = store.history
                runs, failures = tuple(history.runs(1)), tuple(history.failures(1))
                return Standing(history.state(), frontier, None, runs, failures, store.rows_quarantined())
        except CheckpointLocked:
            return Standing(RunState.RUNNING, Frontier.load(self.layout.frontier_file), holder(self.layout.lock))

    def parts_size(self) -> tuple[int, int]:
        """Return how many published parts there are and how many bytes they take."""
        layout = self.layout
        sizes = [size for name, size in files.sizes_in(layout.results) if layout.parse_part(name) is not None]
        return len(sizes), sum(sizes)
