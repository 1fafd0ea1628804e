"""Replay: rows from the quarantine go through the steps again, and their results to the places where they belong.

Batch by batch: rows that succeed now are put into the batch's part, the others stay. Part, catalog and quarantine
change in one transaction, so at any moment a row is either in the results or in quarantine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.batch import Batch
from engine.checkpoint.layout import new_attempt_id
from engine.checkpoint.parts import parts, quarantine
from engine.checkpoint.parts.manifest import FROM_SOURCE
from engine.checkpoint.parts.schema import SchemaPin
from engine.checkpoint.translate_errors import translated
from engine.errors import CheckpointCorrupt, StepFailed
from engine.events import AttemptFailed, RowsReplayed, Warned
from engine.runs.session import Session
from engine.runs.source_rows import SourceRows
from engine.state import RunState
from engine.worker.chain import StepChain
from engine.worker.quarantined_rows import errors_as_columns
from engine.worker.quarantining import obstacle_in
from engine.worker.signals import Abandoned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from engine.checkpoint.parts.manifest import Manifest, QuarantineFile
    from engine.checkpoint.store import CheckpointStore
    from engine.events import Event, Listener
    from engine.results.mended import Mended
    from engine.runs.plan import Plan
    from engine.steps.base import BatchStep
    from engine.worker.signals import StopSignal


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay: how many rows left the quarantine, and how many are still in it.

    `obstacles` has one sentence for each reason why rows could not be tried.
    """

    rows: int = 0
    still: int = 0
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Tried:
    """The result of row `number` of file number `file` of a batch.

    `position` is its place in the part, and `source_row` decides between rows of one place. `frame` is what the steps
    made of it; None if it stays in quarantine, where `columns` replace its values in the file.
    """

    file: int
    number: int
    position: int
    source_row: int
    frame: pl.DataFrame | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


def replay(
    plan: Plan,
    store: CheckpointStore,
    *,
    mended: Mended | None = None,
    stop: StopSignal,
    emit: Listener,
    accept_changes: bool,
) -> Replayed:
    """Put the rows in quarantine through the plan's steps again, bring the sinks up to date, and record it as a run.

    With `mended`, only the rows that it has a text for.

    Raises:
        PipelineChanged: as `run`; nothing was begun.
        StepError, CheckpointError, SinkError: what ended it. Rows that succeeded before it are in the results.
    """
    state = store.history.state()  # a replay leaves the frontier where it is
    with Session(plan, store, stop=stop, emit=emit, accept_changes=accept_changes) as session:
        run_id = session.begin_run()
        for notice in store.notices:
            emit(Warned(notice))
        message = "ended early"
        try:
            session.set_up_steps({}, store.next_batch_id)
            done = _Replay(session, run_id, mended).run()
            message = f"replayed {done.rows:,} rows, {done.still:,} still in quarantine"
            session.open_sinks()
            if state.is_finished:
                state = RunState.at_end(store.rows_quarantined())
        finally:
            session.end_run(run_id, state, message=message)
    return done


class _Replay:
    """Replays the quarantine of a session, whose steps are set up. Owned by one thread."""

    def __init__(self, session: Session, run_id: int, mended: Mended | None) -> None:
        self._session = session
        self._mended = mended
        self._source = SourceRows(session, None if mended is None else mended.texts)
        self._store = session.store
        self._steps = session.plan.steps
        self._target = session.target(run_id)
        last = self._steps[-1].name if self._steps else "source"
        self._pin = SchemaPin(self._store.pinned_schema(), first_batch_id=0, step=last)

    def run(self) -> Replayed:
        """Try all rows that can be tried; return the result. A stop takes effect between two batches.

        Raises:
            CheckpointCorrupt: a file of the quarantine, or a part, is missing or damaged.
            SchemaDrift: a result doesn't have the columns of the results.
        """
        replayed, obstacles = 0, dict.fromkeys(self._mended.obstacles if self._mended else ())
        for manifest in list(self._store.quarantined_batches()):
            if self._session.stop.asked:
                break
            try:
                rows, in_the_way = self._batch(manifest)
            except Abandoned:
                break  # during the wait for another try
            replayed += rows
            obstacles |= dict.fromkeys(in_the_way)
        return Replayed(replayed, self._store.rows_quarantined(), tuple(obstacles))

    def _batch(self, manifest: Manifest) -> tuple[int, list[str]]:
        """Replay one batch; return how many rows left the quarantine, and why others could not be tried."""
        files = self._files(manifest)
        obstacles = {number: self._obstacle(about) for number, (about, _) in enumerate(files)}
        # Places are those in the part as it is now. All files without an obstacle have them.
        tried = [
            one
            for number, (about, frame) in enumerate(files)
            if not obstacles[number]
            for one in self._try(manifest, number, about, frame)
        ]
        part, kept = _put_in(self._part(manifest), tried)
        left = [
            (about, frame) if obstacles[number] else _left(about, frame, [one for one in kept if one.file == number])
            for number, (about, frame) in enumerate(files)
        ]
        rows = manifest.rows_quarantined - sum(frame.height for _, frame in left)
        # Rows may fail with another error now, although none went through.
        if any(not now.equals(before) for (_, now), (_, before) in zip(left, files, strict=True)):
            self._commit(manifest, part, [file for file in left if file[1].height])
        if rows:
            self._session.emit(RowsReplayed(manifest.batch_id, rows, manifest.rows_quarantined - rows))
        return rows, [obstacle for obstacle in obstacles.values() if obstacle]

    def _commit(
        self, manifest: Manifest, part: pl.DataFrame, left: Sequence[tuple[QuarantineFile, pl.DataFrame]]
    ) -> None:
        target, layout, attempt_id = self._target, self._store.layout, new_attempt_id()
        with translated(layout.catalog):
            changed = replace(
                manifest,
                attempt_id=attempt_id,
                rows_out=part.height,
                rows_quarantined=sum(about.rows for about, _ in left),
                quarantine=quarantine.write(layout, manifest.batch_id, attempt_id, left),
            )
            changed = parts.write(layout, part, changed, checkpoint=target.checkpoint, compression=target.compression)
        self._store.replace(manifest, changed)

    # --- trying ---------------------------------------------------------------------------------------

    def _obstacle(self, about: QuarantineFile) -> str:
        """Return why the rows of a file can't be tried, empty if they can. The steps may have changed since."""
        if about.obstacle:
            return about.obstacle
        if about.from_step == FROM_SOURCE:
            return obstacle_in(self._steps) or self._source.obstacle()
        if about.from_step not in [step.name for step in self._steps]:
            return f"they continue at step '{about.from_step}', which is no longer in the pipeline"
        return obstacle_in(self._from(about.from_step), whole=about.whole)

    def _try(self, manifest: Manifest, file: int, about: QuarantineFile, frame: pl.DataFrame) -> list[_Tried]:
        """Try each row alone, since its results go to its own place; or the rows of a whole batch together."""
        if about.whole:
            one = _Tried(file, 0, 0, 0)
            return [one if self._mended else self._tried(manifest, about, one, frame["row"].struct.unnest())]
        places = zip(frame["position"], frame["source_row"], strict=True)
        found = [_Tried(file, number, position, row or 0) for number, (position, row) in enumerate(places)]
        if about.from_step == FROM_SOURCE:
            return [self._read(manifest, about, one, frame["row"][one.number]) for one in found]
        if self._mended:
            return found  # a file has texts for rows of the source only
        data = frame["row"].struct.unnest()
        return [self._tried(manifest, about, one, data[one.number]) for one in found]

    def _read(self, manifest: Manifest, about: QuarantineFile, one: _Tried, row: dict[str, Any]) -> _Tried:
        """Let the source read a row again, and take it through all steps."""
        again = self._source.read(one.source_row, row)
        if again.frame is None:
            return replace(one, columns=again.columns)
        tried = self._tried(manifest, about, one, again.frame)
        return tried if tried.frame is not None else replace(tried, columns={**tried.columns, **again.columns})

    def _tried(self, manifest: Manifest, about: QuarantineFile, one: _Tried, data: pl.DataFrame) -> _Tried:
        key = f"{self._target.run_key}:{manifest.batch_id}"
        batch = Batch(manifest.batch_id, manifest.start_row, manifest.end_row, data, key)
        chain = StepChain(
            self._from(about.from_step),
            first_batch_id=manifest.batch_id,
            retry=self._session.plan.retry,
            stop=self._session.stop,
            emit=self._emit_retry,
        )
        try:
            result = chain.process(batch).frame
        except StepFailed as error:
            if isinstance(error.__cause__, KeyboardInterrupt):
                raise error.__cause__ from None  # here, the steps run in the caller's thread
            columns = errors_as_columns([error], whole=about.whole)
            return replace(one, columns={name: values[0] for name, values in columns.items()})
        return replace(one, frame=None if result is None else self._pin.conform(manifest.batch_id, result))

    def _emit_retry(self, event: Event) -> None:
        """Emit only what concerns retries: the other events of a chain are about whole batches."""
        if isinstance(event, AttemptFailed):
            self._session.emit(event)

    def _from(self, name: str) -> tuple[BatchStep, ...]:
        if name == FROM_SOURCE:
            return self._steps
        return self._steps[[step.name for step in self._steps].index(name) :]

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
            return parts.read(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise CheckpointCorrupt(path, f"the part of batch {manifest.batch_id} can't be read: {error}") from error


def _put_in(part: pl.DataFrame, tried: Iterable[_Tried]) -> tuple[pl.DataFrame, list[_Tried]]:
    """Return the part with the new results in their places, and the rows that stay, with their new places."""
    pieces: list[pl.DataFrame] = []
    kept: list[_Tried] = []
    taken = added = 0
    for row in sorted(tried, key=lambda row: (row.position, row.source_row)):
        if row.frame is None:
            kept.append(replace(row, position=row.position + added))
        else:
            pieces += [part[taken : row.position], row.frame]
            taken, added = row.position, added + row.frame.height
    pieces.append(part[taken:])
    return pl.concat(pieces), kept


def _left(about: QuarantineFile, frame: pl.DataFrame, kept: Sequence[_Tried]) -> tuple[QuarantineFile, pl.DataFrame]:
    """Return the rows of a file that stay in quarantine, with their new places and errors."""
    if about.whole and kept:
        kept = [replace(kept[0], number=number) for number in range(frame.height)]
    kept = sorted(kept, key=lambda row: row.number)
    left = frame[[row.number for row in kept]].with_columns(
        pl.Series("position", [row.position for row in kept], dtype=pl.Int64)
    )
    for name in {name for row in kept for name in row.columns}:
        values = [row.columns.get(name, before) for row, before in zip(kept, left[name], strict=True)]
        left = left.with_columns(pl.Series(name, values, dtype=left.schema[name]))
    if not kept:
        return about, left
    return replace(about, rows=left.height, step=left["step"][0], error=left["error"][0]), left
