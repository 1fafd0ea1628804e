"""Rows out of quarantine and through the steps again, into the places where their results belong.

Batch by batch: rows that get through now are put into the batch's part, the others stay; part, catalog and what is
left of the quarantine change in one transaction, so a row is in exactly one of the two at any moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from engine.batch import Batch
from engine.checkpoint import parts, quarantine
from engine.checkpoint.layout import new_token
from engine.checkpoint.schema_pin import SchemaPin
from engine.errors import CheckpointCorrupt, StepFailed, UsageError, describe
from engine.events import RowsReplayed
from engine.executors.chain import StepChain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.checkpoint.manifest import Manifest, QuarantineFile
    from engine.checkpoint.parts import PartFormat
    from engine.checkpoint.store import CheckpointStore
    from engine.events import Listener
    from engine.executors.signals import StopSignal
    from engine.policy import RetryPolicy
    from engine.step import BatchStep

_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to: how many rows left the quarantine, how many are still there, and why some can't be tried.

    `obstacles` has one sentence for each reason.
    """

    rows: int = 0
    still: int = 0
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """One row out of quarantine: `frame` is what the steps made of it, None when it fails again."""

    position: int
    frame: pl.DataFrame | None
    number: int
    error: StepFailed | None = None


class Replay:
    """Replays the quarantine of an open checkpoint. The steps are set up; all of it belongs to one thread."""

    def __init__(
        self,
        store: CheckpointStore,
        steps: Sequence[BatchStep],
        *,
        retry: RetryPolicy | None,
        part_format: PartFormat,
        checkpoint: str,
        stop: StopSignal,
        emit: Listener,
    ) -> None:
        self._store = store
        self._steps = tuple(steps)
        self._retry = retry
        self._part_format = part_format
        self._checkpoint = checkpoint
        self._stop = stop
        self._emit = emit

    def run(self) -> Replayed:
        """Try all rows that can be tried; return what came of it. A stop takes effect between two batches.

        Raises:
            UsageError: a step from which rows go on isn't in the pipeline any more.
            CheckpointCorrupt: a file of the quarantine, or a part, is missing or damaged.
            SchemaDrift: what comes out doesn't have the columns of the results.
        """
        replayed, obstacles = 0, dict[str, None]()
        for manifest in list(self._store.quarantined_batches()):
            if self._stop.asked:
                break
            obstacles |= dict.fromkeys(about.obstacle for about in manifest.quarantine if about.obstacle)
            replayed += self._batch(manifest)
        return Replayed(replayed, self._store.rows_quarantined(), tuple(obstacles))

    def _batch(self, manifest: Manifest) -> int:
        """Replay one batch; return how many rows left the quarantine."""
        part = self._part(manifest)
        left: list[tuple[QuarantineFile, pl.DataFrame]] = []
        rows = 0
        for about, frame in self._files(manifest):
            if about.obstacle:
                left.append((about, frame))
                continue
            tried = self._whole(manifest, about, frame) if about.whole else self._rows(manifest, about, frame)
            part, remaining = _put_in(part, tried, frame, whole=about.whole)
            rows += frame.height - remaining.height
            if remaining.height:
                first = remaining.row(0, named=True)
                left.append(
                    (replace(about, rows=remaining.height, step=first["step"], error=first["error"]), remaining)
                )
        if rows:
            self._commit(manifest, part, left)
            self._emit(RowsReplayed(manifest.batch_id, rows, sum(about.rows for about, _ in left)))
        return rows

    def _commit(
        self, manifest: Manifest, part: pl.DataFrame, left: Sequence[tuple[QuarantineFile, pl.DataFrame]]
    ) -> None:
        layout, token = self._store.layout, new_token()
        changed = replace(
            manifest,
            token=token,
            rows_out=part.height,
            rows_quarantined=sum(about.rows for about, _ in left),
            quarantine=quarantine.write(layout, manifest.batch_id, token, left),
        )
        changed = parts.write(layout, part, changed, checkpoint=self._checkpoint, part_format=self._part_format)
        self._store.replace(changed, token=manifest.token)

    # --- trying ---------------------------------------------------------------------------------------

    def _rows(self, manifest: Manifest, about: QuarantineFile, frame: pl.DataFrame) -> list[_Row]:
        """Try each row by itself: its results go to its own place."""
        data = frame["row"].struct.unnest()
        return [
            self._tried(manifest, about, data[number], number, position)
            for number, position in enumerate(frame["position"])
        ]

    def _whole(self, manifest: Manifest, about: QuarantineFile, frame: pl.DataFrame) -> list[_Row]:
        """Try the rows of a whole batch together."""
        return [self._tried(manifest, about, frame["row"].struct.unnest(), 0, 0)]

    def _tried(self, manifest: Manifest, about: QuarantineFile, data: pl.DataFrame, number: int, position: int) -> _Row:
        key = f"{self._store.key}-{self._store.generation}:{manifest.batch_id}"
        batch = Batch(manifest.batch_id, manifest.start_row, manifest.end_row, data, key)
        chain = StepChain(
            self._from(about.from_step),
            first_batch_id=manifest.batch_id,
            retry=self._retry,
            stop=self._stop,
            emit=lambda _: None,
        )
        try:
            result = chain.process(batch).frame
        except StepFailed as error:
            return _Row(position, None, number, error)
        pin = SchemaPin(self._store.pinned_schema(), first_batch_id=0, step=self._steps[-1].name)
        return _Row(position, None if result is None else pin.settle(manifest.batch_id, result), number)

    def _from(self, name: str) -> tuple[BatchStep, ...]:
        names = [step.name for step in self._steps]
        if name not in names:
            raise UsageError(
                f"rows in quarantine go on at step '{name}', which isn't in the pipeline any more",
                hint=f"The steps are {', '.join(names)}. Give one of them that name, or export the rows.",
            )
        return self._steps[names.index(name) :]

    # --- files ----------------------------------------------------------------------------------------

    def _files(self, manifest: Manifest) -> list[tuple[QuarantineFile, pl.DataFrame]]:
        try:
            return list(quarantine.read(self._store.layout, manifest))
        except ValueError as error:
            raise CheckpointCorrupt(
                self._store.layout.quarantine,
                f"the quarantine of batch {manifest.batch_id} can't be read: {error}",
                hint="Put the file back, or rewind to the batch before and run again.",
            ) from error

    def _part(self, manifest: Manifest) -> pl.DataFrame:
        path = self._store.layout.part(manifest.batch_id)
        try:
            return pl.read_parquet(path, glob=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise CheckpointCorrupt(path, f"the part of batch {manifest.batch_id} can't be read: {error}") from error


def _put_in(
    part: pl.DataFrame, tried: Sequence[_Row], frame: pl.DataFrame, *, whole: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the part with the results of the rows in their places, and the rows that are left, with theirs anew."""
    pieces: list[pl.DataFrame] = []
    kept: list[int] = []
    positions: list[int] = []
    errors: list[StepFailed] = []
    taken = added = 0
    for row in tried:  # in source order, so positions never go back
        if row.frame is None:
            kept.append(row.number)
            positions.append(row.position + added)
            errors += [row.error] if row.error else []
            continue
        pieces += [part[taken : row.position], row.frame]
        taken, added = row.position, added + row.frame.height
    pieces.append(part[taken:])
    if whole:
        kept = list(range(frame.height)) if kept else []
        positions, errors = positions * len(kept), errors * len(kept)
    left = frame[kept]
    if kept:
        left = left.with_columns(
            pl.Series("position", positions, dtype=pl.Int64),
            pl.Series("step", [error.step for error in errors], dtype=pl.String),
            pl.Series("error_type", [type(error.__cause__ or error).__name__ for error in errors], dtype=pl.String),
            pl.Series("error", [describe(error.__cause__ or error)[:_CHARACTERS] for error in errors], dtype=pl.String),
        )
    return pl.concat(pieces), left
