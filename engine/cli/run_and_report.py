"""One run of a pipeline as a person at a terminal has it: with signals, progress, and its end in words."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from engine.cli import progress_line
from engine.cli.failure_text import rows_in_words
from engine.cli.reporter import Reporter, Style
from engine.cli.sentences import frontier_in_words
from engine.cli.signals import StopOnSignals
from engine.errors import PipelineError, describe
from engine.state import RunState
from engine.text.exit_codes import ExitCode
from engine.text.terminal_safe import safe, safe_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.pipeline import BatchPipeline
    from engine.policy import OnError, Quarantine
    from engine.progress import RunView

_LOOK_SECONDS = 0.1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went: the exit code that it means, the last view of it, and the error that ended it, if any."""

    exit_code: ExitCode
    view: RunView
    error: BaseException | None = None


def drive(
    pipeline: BatchPipeline,
    style: Style,
    *,
    resume: bool = True,
    accept_changes: bool = False,
    on_error: OnError | Quarantine | None = None,
    fail_on_quarantine: bool = False,
) -> Outcome:
    """Run the pipeline to its end, a stop or a failure.

    `fail_on_quarantine` gives a run that finishes with rows in quarantine an exit code of its own.

    Raises:
        PipelineError: nothing was begun.
    """
    before = pipeline.view().run_id
    with StopOnSignals(pipeline) as signals, Reporter(pipeline.view, style):
        future = _aside(lambda: pipeline.run(resume, accept_changes=accept_changes, on_error=on_error))
        _wait_awake(future)
        error = future.exception()
    view = pipeline.view()
    if error is None:
        if view.state is RunState.RESUMABLE:
            return Outcome(ExitCode.INTERRUPTED if signals.interrupted else ExitCode.RESUMABLE, view)
        lacking = fail_on_quarantine and view.state is RunState.INCOMPLETE
        return Outcome(ExitCode.QUARANTINED if lacking else ExitCode.DONE, view)
    if view.run_id is None or view.run_id == before:
        raise error
    return Outcome(error.exit_code if isinstance(error, PipelineError) else ExitCode.FAILED, view, error)


def call_with_signals(pipeline: BatchPipeline, function: Callable[[], T]) -> tuple[T, ExitCode]:
    """Return what `function` returns, and the exit code of a stop, DONE if no signal came.

    A signal asks the pipeline to stop. Raises what `function` raises.
    """
    with StopOnSignals(pipeline) as signals:
        future = _aside(function)
        _wait_awake(future)
        result = future.result()
    if signals.interrupted:
        return result, ExitCode.INTERRUPTED
    return result, ExitCode.RESUMABLE if signals.came else ExitCode.DONE


def _wait_awake(future: Future[T]) -> None:
    # The kernel may give a signal to a thread of Polars or DuckDB, which leaves this one asleep: so it wakes up by
    # itself, for Python to call the handler.
    while not wait([future], _LOOK_SECONDS).done:
        pass


def _aside(function: Callable[[], T]) -> Future[T]:
    """Call `function` in a thread of its own: the main one stays free for signals, even while C code hangs."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 (the main thread raises it)
            future.set_exception(error)

    threading.Thread(target=work, name="run", daemon=True).start()
    return future


def ending(outcome: Outcome, checkpoint_dir: Path) -> Iterator[str]:
    """Yield what to say of the end of a run."""
    view = outcome.view
    if outcome.error is None:
        yield progress_line.stopped(view) if view.state is RunState.RESUMABLE else progress_line.finished(view)
        yield from _quarantined(view, checkpoint_dir)
        return
    failure = view.failures[-1] if view.failure_count else None
    lines = safe_lines(describe(outcome.error) if failure is None else failure.message)
    yield f"failed: {lines[0]}"
    yield from lines[1:]
    if failure is not None:
        yield from rows_in_words(failure)
    yield f"frontier: {frontier_in_words(view.frontier, view.rows_committed, view.rows_to_go)}"
    yield from _quarantined(view, checkpoint_dir)
    hint = outcome.error.hint if isinstance(outcome.error, PipelineError) else ""
    if hint:
        yield f"hint: {safe(hint)}"
    yield f"traceback: batch-pipeline failures --full --checkpoint-dir {quoted(checkpoint_dir)}"


def _quarantined(view: RunView, checkpoint_dir: Path) -> Iterator[str]:
    if line := progress_line.loss(view, quarantine_command(checkpoint_dir)):
        yield line


def quarantine_command(checkpoint_dir: Path) -> str:
    """Return the command that lists what is in quarantine there."""
    return f"batch-pipeline quarantine list --checkpoint-dir {quoted(checkpoint_dir)}"


def quoted(path: Path) -> str:
    """Return a path as a shell takes it, and as a terminal may show it."""
    import shlex

    return safe(shlex.quote(str(path)))
