"""One run of a pipeline in a terminal: its signals, its progress and its last words."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from engine import RunState
from engine.cli import progress_line
from engine.cli.reporter import Reporter, Style
from engine.cli.sentences import failed_rows, frontier_in_words, list_quarantine, shell_quoted
from engine.cli.signals import StopOnSignals
from engine.errors import PipelineError, describe
from engine.text.exit_codes import ExitCode
from engine.text.terminal_safe import safe, safe_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine import BatchPipeline, OnError, Quarantine, RunView

_POLL_SECONDS = 0.1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: its exit code, the last view of it, and the error that ended it, None if there was none."""

    exit_code: ExitCode
    view: RunView
    error: BaseException | None = None


def run_and_report(
    pipeline: BatchPipeline,
    style: Style,
    *,
    resume: bool = True,
    accept_changes: bool = False,
    on_error: OnError | Quarantine | None = None,
    fail_on_quarantine: bool = False,
) -> RunResult:
    """Run the pipeline until it finishes, stops or fails, and show its progress.

    With `fail_on_quarantine`, a run that finishes with rows in quarantine has the exit code QUARANTINED.

    Raises:
        PipelineError: the run did not start.
    """
    before = pipeline.view().run_id
    with StopOnSignals(pipeline) as signals, Reporter(pipeline.view, style):
        future = _in_thread(lambda: pipeline.run(resume, accept_changes=accept_changes, on_error=on_error))
        error = future.exception()
    view = pipeline.view()
    if error is not None:
        if view.run_id is None or view.run_id == before:
            raise error
        return RunResult(error.exit_code if isinstance(error, PipelineError) else ExitCode.FAILED, view, error)
    code = ExitCode.DONE
    if view.state is RunState.RESUMABLE:
        code = signals.exit_code or ExitCode.RESUMABLE
    elif view.state is RunState.INCOMPLETE and fail_on_quarantine:
        code = ExitCode.QUARANTINED
    return RunResult(code, view)


def call_with_signals(pipeline: BatchPipeline, function: Callable[[], T]) -> tuple[T, ExitCode]:
    """Return what `function` returns, and the exit code of a stop, DONE if no signal came.

    A signal asks the pipeline to stop. Raises what `function` raises.
    """
    with StopOnSignals(pipeline) as signals:
        result = _in_thread(function).result()
    return result, signals.exit_code


def _in_thread(function: Callable[[], T]) -> Future[T]:
    """Call `function` in a thread and return its future when it is done; this thread handles signals meanwhile."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 (the main thread raises it)
            future.set_exception(error)

    threading.Thread(target=work, name="run", daemon=True).start()
    # The kernel may deliver a signal to a thread of Polars or DuckDB, which doesn't wake up this one. Python calls the
    # handler when this thread runs the next time.
    while not wait([future], _POLL_SECONDS).done:
        pass
    return future


def last_words(result: RunResult, checkpoint_dir: Path) -> Iterator[str]:
    """Yield the lines that say how a run ended, and what to do next."""
    view = result.view
    in_quarantine = progress_line.quarantine_at_end(view, list_quarantine(checkpoint_dir))
    if result.error is None:
        yield progress_line.stopped(view) if view.state is RunState.RESUMABLE else progress_line.finished(view)
        yield from in_quarantine
        return
    failure = view.failures[-1] if view.failure_count else None
    first, *rest = safe_lines(describe(result.error) if failure is None else failure.message)
    yield f"failed: {first}"
    yield from rest
    if failure is not None:
        yield from failed_rows(failure)
    yield f"frontier: {frontier_in_words(view.frontier, view.rows_committed, view.rows_to_go)}"
    yield from in_quarantine
    hint = result.error.hint if isinstance(result.error, PipelineError) else ""
    if hint:
        yield f"hint: {safe(hint)}"
    yield f"traceback: batch-pipeline failures --full --checkpoint-dir {shell_quoted(checkpoint_dir)}"
