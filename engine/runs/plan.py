"""What is to be run, and how: every option of a pipeline, in one frozen value that is checked when it is made.

An option is one field here. `BatchPipeline` holds a plan and hands it to its runs; what has other options is another
plan, by `dataclasses.replace`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar, get_args

from engine.checkpoint.parts.parts import PartCompression
from engine.errors import FetchFailed, PipelineError, UsageError, raised_as
from engine.events import RunInfo
from engine.policy import OnError, Quarantine
from engine.sinks.base import Sink
from engine.sources.base import SeekableFetcher
from engine.steps.base import BatchStep
from engine.text.masking import mask_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from engine.events import Listener
    from engine.executors.base import Executor
    from engine.policy import RetryPolicy
    from engine.sources.base import BatchFetcher, SourceSize
    from engine.storage.objects import ObjectPath

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The options of a pipeline; `BatchPipeline` documents them.

    `name` is empty and `executor` is None unless the user gave one. `on_error` holds the limits of the quarantine, and
    is None when a row that fails stops the run.

    Raises:
        UsageError: a value that can't be right.
    """

    steps: tuple[BatchStep, ...]
    batch_fetcher: BatchFetcher
    batch_size: int
    batch_bytes: int | None
    checkpoint_dir: Path
    name: str
    results_url: ObjectPath | None
    workers: int | None
    retry: RetryPolicy | None
    part_compression: PartCompression
    listeners: tuple[Listener, ...]
    executor: Executor | None
    sinks: tuple[Sink, ...]
    on_error: Quarantine | None

    def __post_init__(self) -> None:
        _check_steps(self.steps)
        _check_sinks(self.sinks)
        if not callable(self.batch_fetcher):
            raise UsageError(
                f"batch_fetcher is a {type(self.batch_fetcher).__name__}, which can't be called",
                hint="Pass a fetcher of engine, or a function (batch_id, batch_size) -> Batch | None.",
            )
        optional = {"workers": self.workers, "batch_bytes": self.batch_bytes}
        given = {name: value for name, value in optional.items() if value is not None}
        for name, value in {"batch_size": self.batch_size, **given}.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.part_compression not in get_args(PartCompression):
            known = ", ".join(get_args(PartCompression))
            raise UsageError(f"part_compression must be one of {known}, not {self.part_compression!r}")

    @property
    def title(self) -> str:
        """What to call the pipeline on a screen."""
        return self.name or self.checkpoint_dir.name

    @property
    def source(self) -> str:
        """What to call the source on a screen, without secrets."""
        fetcher = self.batch_fetcher
        if isinstance(fetcher, SeekableFetcher):
            try:
                with raised_as(partial(FetchFailed, 0)):
                    content = fetcher.identity()
            except PipelineError:  # a run raises it; looking at the pipeline must not
                return type(fetcher).__name__
            name = str(content.get("source") or content.get("kind") or type(fetcher).__name__)
            return mask_secrets(f"{name} by {fetcher.route}" if fetcher.route else name)
        return getattr(fetcher, "__name__", type(fetcher).__name__)

    @property
    def step_names(self) -> tuple[str, ...]:
        """The names of the steps, in order."""
        return tuple(step.name for step in self.steps)

    def info(self, executor: Executor, size: SourceSize | None) -> RunInfo:
        """Return what listeners and views get to know of the plan. `size` is None when it is unknown."""
        return RunInfo(
            pipeline=self.title,
            source=self.source,
            checkpoint_dir=str(self.checkpoint_dir),
            steps=self.step_names,
            batch_size=self.batch_size,
            workers=executor.workers,
            window=executor.window,
            source_rows=size.rows if size else None,
            source_rows_exact=bool(size and size.exact),
            sinks=tuple(sink.name for sink in self.sinks),
        )

    @property
    def limits(self) -> Quarantine | None:
        """The limits that hold in a run: a step may quarantine rows although the pipeline stops at them."""
        if self.on_error is None and any(step.on_error == "quarantine" for step in self.steps):
            return Quarantine()
        return self.on_error


def listed_steps(steps: Iterable[BatchStep]) -> tuple[BatchStep, ...]:
    """Return the steps as a tuple. Raises `UsageError` for anything that is not a list."""
    if not isinstance(steps, Iterable):
        raise UsageError(f"steps must be a list of steps, not {steps!r}")
    return tuple(steps)


def as_tuple(given: Iterable[T] | T) -> tuple[T, ...]:
    """Return what was given as a list; one thing alone is a list of one."""
    return tuple(given) if isinstance(given, Iterable) else (given,)


def quarantine_limits(on_error: OnError | Quarantine) -> Quarantine | None:
    """Return how many rows may go into quarantine, None when the run stops at the first one that fails."""
    if isinstance(on_error, Quarantine):
        return on_error
    if on_error not in get_args(OnError):
        raise UsageError(f"on_error must be 'stop', 'quarantine' or a Quarantine, not {on_error!r}")
    return Quarantine() if on_error == "quarantine" else None


def _check_steps(steps: tuple[BatchStep, ...]) -> None:
    names: set[str] = set()
    for step in steps:
        if not isinstance(step, BatchStep):
            raise UsageError(
                f"{step!r} is not a step", hint="Subclass BatchStep, or wrap a function in a FunctionBatchStep."
            )
        if not getattr(step, "name", ""):
            raise UsageError(f"a step of class {type(step).__name__} has no name", hint="Call super().__init__(name).")
        _check_policies(step)
        if step.name in names:
            raise UsageError(
                f"two steps are called '{step.name}'",
                hint="A step is known by its name; give each one its own.",
            )
        names.add(step.name)


def _check_policies(step: BatchStep) -> None:
    if step.on_error not in (None, *get_args(OnError)):
        raise UsageError(f"step '{step.name}': on_error must be 'stop', 'quarantine' or None, not {step.on_error!r}")
    seconds: object = step.timeout_seconds
    if seconds is not None and not (isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0):
        raise UsageError(f"step '{step.name}': timeout_seconds must be more than 0, or None, not {seconds!r}")


def _check_sinks(sinks: tuple[Sink, ...]) -> None:
    for sink in sinks:
        if not isinstance(sink, Sink):
            raise UsageError(f"{sink!r} is not a sink", hint="Pass a list of SqlSink, DuckDBSink, or your own Sink.")
    names = [sink.name for sink in sinks]
    if len(set(names)) < len(names):
        raise UsageError("two sinks write to the same place", hint=f"They are {', '.join(names)}.")
