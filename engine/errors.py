"""Every error that the engine raises: what happened, where, and what to do next.

    PipelineError
    ├── UsageError                 the call or the pipeline is wrong; nothing was started
    │   ├── TargetNotFound         the file, module or name that should hold a pipeline
    │   ├── SourceNotFound         a file or folder to read that isn't there
    │   ├── PipelineChanged        the checkpoint was made by other steps, settings or batch size
    │   └── NothingToRewind        no such committed batch
    ├── SourceError                the source, not the steps
    │   ├── FetchFailed            the fetcher raised
    │   ├── RowsUnreadable         rows that the source can't read
    │   ├── SourceContractBroken   what the fetcher returned isn't the batch that was asked for
    │   ├── RowsNotContiguous      a gap or an overlap between batches
    │   └── SourceChanged          the source has shrunk below the frontier
    ├── StepError                  a step, at a batch
    │   ├── StepFailed             the step raised
    │   ├── QuarantineFull         more rows can't be processed than may be taken out
    │   ├── StepSetupFailed        the step raised before its first batch
    │   ├── StepResultInvalid      the step returned something that isn't its batch
    │   └── SchemaDrift            the results' columns are not those of the first batch
    ├── SinkError                  a place besides the parts where results go
    │   ├── SinkNotUsable          it belongs to something else, or can't hold the results
    │   └── SinkFailed             it didn't take a batch
    ├── CheckFailed                rows that break a check; StepFailed is chained from it
    ├── CheckpointError            the files that remember the place
    │   ├── CheckpointLocked       another run holds them
    │   ├── CheckpointUnlockable   locks have no effect on their file system
    │   ├── LockLost               the lock file was deleted or replaced while it was held
    │   ├── CheckpointForeign      they are not ours
    │   ├── CheckpointNewer        a newer version of this software made them
    │   ├── CheckpointCorrupt      they are damaged
    │   ├── CheckpointNotWritable  permission, or a read-only disk
    │   ├── ResultsTaken           object storage where another checkpoint has its results
    │   ├── StorageUnavailable     object storage that cannot be reached or refuses
    │   ├── DiskFull
    │   └── FrontierUnreadable     a frontier file that isn't one
    ├── WorkerFailed               a worker on another machine, outside of fetch and steps
    ├── RowsUnaccounted            rows went missing inside the engine; a defect of ours
    └── IllegalTransition          a run asked to do what its state doesn't allow; a defect of ours

Each carries its data as attributes and a `hint`: one sentence that says what to do next. Secrets in
messages are masked here, once, so that no caller can forget it.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from engine.text.exit_codes import ExitCode
from engine.text.format import SOURCE, counted, refusing
from engine.text.masking import mask_secrets
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import polars as pl

    from engine.batch import Batch

_NAMED_ROWS = 3
_KEPT_ROWS = 20
_TEXT_CHARACTERS = 80


class PipelineError(Exception):
    """The root. `str()` is the message alone; `hint` says what to do next, empty when there is nothing."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    hint: str = ""
    """A class sets it where all of its errors have the same hint."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(mask_secrets(message))
        self.hint = mask_secrets(hint) or self.hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be sent to another process, whatever its own constructor takes; what it is chained from stays."""
        return _again, (type(self), str(self), self.__dict__)


# --- the call -------------------------------------------------------------------------------------------


class UsageError(PipelineError):
    """The call or the pipeline's definition is wrong; nothing was started, nothing was touched."""

    exit_code = ExitCode.USAGE


class TargetNotFound(UsageError):
    """The file, module or name that should hold a pipeline can't be loaded."""


class SourceNotFound(UsageError):
    """A file or folder that should be read isn't there, or holds nothing to read."""


class PipelineChanged(UsageError):
    """The checkpoint was made by a different pipeline; `differences` has one line for each change."""

    def __init__(self, differences: Sequence[str], *, hint: str) -> None:
        self.differences = tuple(differences)
        super().__init__("the pipeline is not the one of this checkpoint: " + "; ".join(differences), hint=hint)


class NothingToRewind(UsageError):
    """A rewind to a batch that isn't committed."""


# --- the source -----------------------------------------------------------------------------------------


class SourceError(PipelineError):
    """The source's fault, not a step's."""


class FetchFailed(SourceError):
    """The fetcher raised while it fetched `batch_id`; the original error is `__cause__`."""

    hint = "Everything before this batch is committed. Fix the source and run again: it continues here."

    def __init__(self, batch_id: int, error: BaseException, *, attempts: int = 1) -> None:
        self.batch_id = batch_id
        self.attempts = attempts
        tries = "" if attempts == 1 else f" after {attempts} attempts"
        # A callable over an iterator raises it at the end, and after a resume it would give rows of the start.
        once = "An iterator can be read only once, but a resume reads from another batch: pass a generator function, "
        super().__init__(
            f"fetching batch {batch_id} failed{tries}: {describe(error)}",
            hint=f"{once}without calling it, or a callable that finds its rows by batch id and batch size."
            if isinstance(error, StopIteration)
            else "",
        )


class RowsUnreadable(SourceError):
    """Rows of a batch that the source can't read. `rows` are the first of them, `row_count` is their number."""

    def __init__(self, batch: Batch) -> None:
        self.batch_id = batch.batch_id
        self.start_row = batch.start_row
        self.end_row = batch.end_row
        self.row_count = len(batch.unreadable)
        self.rows = batch.unreadable[:_KEPT_ROWS]
        first = self.rows[:_NAMED_ROWS]
        named = [f"{safe(row.place)}: {safe(row.reason)}: {safe(row.text, _TEXT_CHARACTERS)}" for row in first]
        if self.row_count > len(named):
            named.append(f"and {self.row_count - len(named):,} more")
        help_here = next((f"{row.hint.removesuffix('.')}. " for row in first if row.hint), "")
        super().__init__(
            f"{counted(self.row_count, 'row')} of batch {batch.batch_id} can't be read: {'; '.join(named)}",
            hint=f"{help_here}Everything before this batch is committed. on_error='quarantine' (--on-error quarantine) "
            "takes such rows out and keeps them.",
        )


class SourceContractBroken(SourceError):
    """What the fetcher returned for `batch_id` isn't the batch that was asked for."""

    def __init__(self, batch_id: int, problem: str) -> None:
        self.batch_id = batch_id
        super().__init__(
            f"the fetcher's answer for batch {batch_id} can't be used: {problem}",
            hint="A fetcher returns Batch(batch_id, start_row, end_row, data) with both rows inclusive and one row "
            "of data for each, or None at the end of the source.",
        )


class RowsNotContiguous(SourceError):
    """A batch that leaves out or repeats source rows."""

    def __init__(
        self, batch_id: int, start_row: int, end_row: int, *, expected_batch_id: int, expected_row: int
    ) -> None:
        self.batch_id = batch_id
        self.start_row = start_row
        self.end_row = end_row
        self.expected_row = expected_row
        if batch_id != expected_batch_id:
            problem = f"batch {expected_batch_id} was expected"
        elif start_row > expected_row:
            problem = f"rows {expected_row:,} to {start_row - 1:,} are missing before it"
        elif start_row < expected_row:
            problem = f"rows {start_row:,} to {expected_row - 1:,} were in the batch before it already"
        else:
            problem = "it ends before it starts"
        super().__init__(
            f"batch {batch_id} has rows {start_row:,} to {end_row:,}, but {problem}",
            hint="Each batch must start at the row after the last one of the batch before. "
            "Nothing of this batch was committed.",
        )


class SourceChanged(SourceError):
    """The source has fewer rows than were committed already, so the results no longer describe it."""

    hint = "Nothing was changed. Bring the source back, or start over with a reset if the new source is meant."


# --- the steps ------------------------------------------------------------------------------------------


class StepError(PipelineError):
    """A step's failure at one batch. `step` is its name, `attempts` how often it was tried."""

    def __init__(self, message: str, *, step: str, batch_id: int, attempts: int = 1, hint: str = "") -> None:
        self.step = step
        self.batch_id = batch_id
        self.attempts = attempts
        super().__init__(message, hint=hint)


class StepFailed(StepError):
    """The step raised; the original error is `__cause__`, and `source` the batch as it was fetched, if known."""

    def __init__(
        self, step: str, batch_id: int, start_row: int, end_row: int, error: BaseException, *, attempts: int = 1
    ) -> None:
        self.start_row = start_row
        self.end_row = end_row
        self.source: Batch | None = None
        self.input: pl.DataFrame | None = None  # what the step was given
        self.first = 0  # it was given what steps before it made of the rows from this one of `source` on
        tries = "" if attempts == 1 else f" after {attempts} attempts"
        committed = f"Batches up to {batch_id - 1} are committed. " if batch_id else ""
        super().__init__(
            f"step '{step}' failed at batch {batch_id} (rows {start_row:,} to {end_row:,}){tries}: {describe(error)}",
            step=step,
            batch_id=batch_id,
            attempts=attempts,
            hint=f"{committed}Fix the step or the data and run again: it continues at batch {batch_id}.",
        )


class QuarantineFull(StepError):
    """With this batch more rows would be in quarantine than are allowed; `error` is what the first of them raised."""

    def __init__(self, step: str, batch_id: int, excess: str, error: str) -> None:
        self.excess = excess
        committed = f"Batches up to {batch_id - 1} are committed. " if batch_id else ""
        super().__init__(
            f"too many rows can't be processed: with batch {batch_id} it would be {excess}; {refusing(step)}: {error}",
            step=step,
            batch_id=batch_id,
            hint=f"{committed}Fix {'the data' if step == SOURCE else 'the step or the data'}, or raise the limit, and "
            f"run again: it continues at batch {batch_id}.",
        )


class StepTimedOut(Exception):
    """A step took longer for a batch than its `timeout_seconds`; `StepFailed` is chained from it.

    Python can end code of its own, which happens; it can't end a call into C that doesn't return, such as a hung
    connection. `ended` says which it was: a call that couldn't be ended keeps running in its thread.
    """

    def __init__(self, seconds: float, *, ended: bool) -> None:
        self.ended = ended
        left = "" if ended else "; it is in a call that Python can't end, and keeps running in its thread"
        super().__init__(f"it took longer than {seconds:g} s{left}")


class StepSetupFailed(StepError):
    """The step's `setup` raised; the original error is `__cause__`."""

    hint = "No batch was started. Fix what the step needs and run again."

    def __init__(self, step: str, batch_id: int, error: BaseException) -> None:
        super().__init__(f"step '{step}' could not be set up: {describe(error)}", step=step, batch_id=batch_id)


class StepResultInvalid(StepError):
    """The step returned something that isn't its batch."""

    hint = "process(batch) must return a Batch with the same id and rows: return batch.with_data(frame)."

    def __init__(self, step: str, batch_id: int, problem: str) -> None:
        super().__init__(f"step '{step}' returned {problem} for batch {batch_id}", step=step, batch_id=batch_id)


class SchemaDrift(StepError):
    """The results of a batch don't have the columns of the first one; `differences` names them."""

    hint = "All batches must give the same columns and dtypes. Cast in a step, or fix the source's schema."

    def __init__(self, step: str, batch_id: int, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        message = f"the results of batch {batch_id} differ from the pinned schema: {'; '.join(differences)}"
        super().__init__(message, step=step, batch_id=batch_id)


class CheckFailed(PipelineError):
    """Rows that break a check.

    `rows` are their 0-based numbers in the batch as the check saw it, at most the first hundred;
    `examples` holds those rows whole (the batch's columns), and `row_count` says how many there are.
    """

    def __init__(self, condition: str, rows: Sequence[int], examples: pl.DataFrame, row_count: int) -> None:
        self.condition = condition
        self.rows = tuple(rows)
        self.examples = examples
        self.row_count = row_count
        what = "1 row breaks" if row_count == 1 else f"{row_count:,} rows break"
        super().__init__(f"{what} the check {condition}")


# --- the sinks ------------------------------------------------------------------------------------------


class SinkError(PipelineError):
    """A place besides the parts where results go; `sink` is its name. The results themselves are safe."""

    def __init__(self, sink: str, message: str, *, hint: str = "") -> None:
        self.sink = sink
        super().__init__(message, hint=hint)


class SinkNotUsable(SinkError):
    """The place belongs to something else, or can't hold these results; it was left as it is."""


class SinkFailed(SinkError):
    """The sink didn't take `batch_id`, which is committed; the original error is `__cause__`."""

    hint = "The batch is committed; the next run delivers first what is missing there."

    def __init__(self, sink: str, batch_id: int, error: BaseException, *, attempts: int = 1) -> None:
        self.batch_id = batch_id
        self.attempts = attempts
        tries = "" if attempts == 1 else f" after {attempts} attempts"
        super().__init__(sink, f"batch {batch_id} could not be delivered to {sink}{tries}: {describe(error)}")


# --- the checkpoint -------------------------------------------------------------------------------------


class CheckpointError(PipelineError):
    """The checkpoint at `path` can't be used; it was left as it is."""

    exit_code = ExitCode.CHECKPOINT

    def __init__(self, path: Path | str, message: str, *, hint: str = "") -> None:
        self.path = path
        super().__init__(message, hint=hint)


class CheckpointLocked(CheckpointError):
    """Another run holds the checkpoint; `holder` describes it."""

    hint = "Wait for that run, or stop it; `batch-pipeline status` shows how far it is."

    def __init__(self, path: Path | str, holder: str, *, hint: str = "") -> None:
        self.holder = holder
        super().__init__(path, f"the checkpoint {path} is in use by {holder}", hint=hint)


class CheckpointUnlockable(CheckpointError):
    """Locks on files aren't supported or have no effect on its file system, so nothing would keep two runs apart."""

    hint = (
        "Network shares often don't lock files. Put the checkpoint on a disk of this machine, or mount the share with "
        "locks (NFS 4, SMB without nobrl). The results alone may be elsewhere: see results_url."
    )

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, f"the checkpoint {path} can't be locked against a second run: {reason}")


class LockLost(CheckpointError):
    """The lock file was deleted or replaced while this process held its lock, so another run may have started."""

    hint = (
        "What is committed is safe. End the other runs on this checkpoint and run again: it continues. Never delete "
        "checkpoint.lock: the system releases the lock when its process ends."
    )

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, f"the lock file {path} was deleted or replaced while this process was using it")


class CheckpointForeign(CheckpointError):
    """The file in the catalog's place is not a catalog of this software."""

    hint = "It was left untouched. Choose another checkpoint folder, or move that file away."

    def __init__(self, path: Path | str, found: str) -> None:
        super().__init__(path, f"{path} is {found}, not a checkpoint")


class ResultsTaken(CheckpointError):
    """Another checkpoint keeps its results under this URL."""

    def __init__(self, path: Path | str, *, by_a_copy: bool = False) -> None:
        if by_a_copy:
            message = f"a copy of this checkpoint folder has written to {path} since this one did"
            hint = "Use that copy: only one of the two can continue. Nothing was touched."
        else:
            message = f"another checkpoint keeps its results in {path}"
            hint = (
                "Nothing was touched. Choose another results_url. If that checkpoint's folder is lost, "
                "docs/object-storage.md says how to get it back from the results."
            )
        super().__init__(path, message, hint=hint)


class CheckpointNewer(CheckpointError):
    """The catalog was written by a newer version."""

    hint = "Upgrade batchpipe-tui to use it; it was left untouched."

    def __init__(self, path: Path | str, found: int, known: int) -> None:
        super().__init__(path, f"the checkpoint {path} has format {found}, and this version reads up to {known}")


class CheckpointCorrupt(CheckpointError):
    """The catalog or a part is damaged."""


class CheckpointNotWritable(CheckpointError):
    """Permission, a read-only disk, or a folder that has gone."""

    def __init__(self, path: Path | str, error: BaseException) -> None:
        super().__init__(
            path,
            f"cannot write the checkpoint {path}: {describe(error)}",
            hint="The disk or its connection is failing: look at the system's log. What is committed is safe."
            if _is_of_the_device(error)
            else "Give yourself write permission for that folder or choose another; what is committed is safe.",
        )


def _is_of_the_device(error: BaseException) -> bool:
    text = str(error)
    return getattr(error, "errno", None) == errno.EIO or "Input/output error" in text or "fsync failed" in text


class StorageUnavailable(CheckpointError):
    """The object storage where the results are can't be reached, or refuses what is asked of it."""

    hint = (
        "Look at AWS_ENDPOINT_URL, AWS_REGION, and the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "here and on the workers. What is committed is safe."
    )

    def __init__(self, path: Path | str, reason: str, *, hint: str = "") -> None:
        super().__init__(path, f"the object storage at {path} can't be used: {reason}", hint=hint)


class DiskFull(CheckpointError):
    """No space left where the checkpoint is."""

    hint = "Everything up to the frontier is safe. Free some space and run again."

    def __init__(self, path: Path | str, error: BaseException) -> None:
        super().__init__(path, f"the disk is full: cannot write the checkpoint {path} ({describe(error)})")


class FrontierUnreadable(CheckpointError):
    """A frontier file that is missing or isn't one."""

    hint = "The catalog decides; this file only repeats its frontier, and the next run writes it again."

    def __init__(self, path: Path | str, error: BaseException) -> None:
        super().__init__(path, f"cannot read a frontier from {path}: {describe(error)}")


class WorkerFailed(PipelineError):
    """What a worker on another machine raised outside of fetch and steps; the original error is `__cause__`."""

    def __init__(self, batch_id: int, error: BaseException) -> None:
        self.batch_id = batch_id
        super().__init__(
            f"the worker failed at batch {batch_id}: {describe(error)}",
            hint="Everything before this batch is committed. All nodes need the same version, and the checkpoint "
            "folder at the same path.",
        )


class RowsUnaccounted(PipelineError):
    """The rows of a batch don't add up: in = out + left out by steps + in quarantine. Nothing of it was committed."""

    def __init__(self, batch_id: int, rows_in: int, rows_out: int, dropped: int, quarantined: int) -> None:
        self.batch_id = batch_id
        super().__init__(
            f"the rows of batch {batch_id} don't add up: {rows_in:,} came in, {rows_out:,} came out, steps left out "
            f"{dropped:,}, and {quarantined:,} are in quarantine",
            hint="Nothing of this batch was committed. This is a defect of batchpipe-tui: please report it.",
        )


class IllegalTransition(PipelineError):
    """The run's state doesn't allow this event."""


@contextmanager
def raised_as(translate: Callable[[BaseException], PipelineError]) -> Iterator[None]:
    """Raise the engine's error for what a user's code or a library raises in the block.

    An error of the engine stays as it is. A PanicException of Polars is no Exception, but a failure like any other.
    """
    try:
        yield
    except (PipelineError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise translate(error) from error


def _again(kind: type[PipelineError], message: str, attributes: dict[str, Any]) -> PipelineError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(attributes)
    return error


def describe(error: BaseException) -> str:
    """Return the error's type and message on one line, secrets masked, for messages and the catalog."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 (an error that can't show itself is an error all the same)
        text = ""
    text = text or "no message"
    name = type(error).__name__
    return mask_secrets(text if isinstance(error, PipelineError) else f"{name}: {text}")
