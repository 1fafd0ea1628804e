"""What a pipeline is made of, looked at when it is made: whatever can't be right is refused there, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from engine.checkpoint.parts import parts
from engine.errors import UsageError
from engine.policy import OnError, Quarantine
from engine.sinks.base import Sink
from engine.steps.base import BatchStep


def checked_steps(steps: Iterable[BatchStep]) -> tuple[BatchStep, ...]:
    """Return the steps; their names must differ, and what they say of errors and time must make sense."""
    if not isinstance(steps, Iterable):
        raise UsageError(f"steps must be a list of steps, not {steps!r}")
    checked = tuple(steps)
    names: set[str] = set()
    for step in checked:
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
    return checked


def _check_policies(step: BatchStep) -> None:
    if step.on_error not in (None, *get_args(OnError)):
        raise UsageError(f"step '{step.name}': on_error must be 'stop', 'quarantine' or None, not {step.on_error!r}")
    seconds: object = step.timeout_seconds
    if seconds is not None and not (isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0):
        raise UsageError(f"step '{step.name}': timeout_seconds must be more than 0, or None, not {seconds!r}")


def limits(on_error: object) -> Quarantine | None:
    """Return how many rows may be taken out, None when the run stops at the first one."""
    if isinstance(on_error, Quarantine):
        return on_error
    if on_error not in get_args(OnError):
        raise UsageError(f"on_error must be 'stop', 'quarantine' or a Quarantine, not {on_error!r}")
    return Quarantine() if on_error == "quarantine" else None


def checked_sinks(sinks: Iterable[Sink]) -> tuple[Sink, ...]:
    """Return the sinks; no two of them may write to the same place."""
    checked = tuple(sinks) if isinstance(sinks, Iterable) else (sinks,)
    for sink in checked:
        if not isinstance(sink, Sink):
            raise UsageError(f"{sink!r} is not a sink", hint="Pass a list of SqlSink, DuckDBSink, or your own Sink.")
    names = [sink.name for sink in checked]
    if len(set(names)) < len(names):
        raise UsageError("two sinks write to the same place", hint=f"They are {', '.join(names)}.")
    return checked


def check_arguments(batch_fetcher: object, batch_size: object, workers: object, part_compression: str) -> None:
    """Look at what else a pipeline is made of."""
    if not callable(batch_fetcher):
        raise UsageError(
            f"batch_fetcher is a {type(batch_fetcher).__name__}, which can't be called",
            hint="Pass a fetcher of engine, or a function (batch_id, batch_size) -> Batch | None.",
        )
    for name, value in (("batch_size", batch_size), ("workers", 1 if workers is None else workers)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"{name} must be a whole number of at least 1, not {value!r}")
    if part_compression not in get_args(parts.PartCompression):
        known = ", ".join(get_args(parts.PartCompression))
        raise UsageError(f"part_compression must be one of {known}, not {part_compression!r}")
