"""One run of a pipeline as a person at a terminal has it: with signals, progress, and its end in words."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.cli import progress_line
from engine.cli.failure_text import rows_in_words
from engine.cli.reporter import Reporter, Style
from engine.cli.signals import INTERRUPTED, StopOnSignals
from engine.cli.wording import frontier_in_words
from engine.errors import PipelineError, describe
from engine.safe_text import safe, safe_lines
from engine.state import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.frontier import Frontier
    from engine.pipeline import BatchPipeline
    from engine.progress import RunView

DONE, FAILED, RESUMABLE = 0, 1, 4
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went: the exit code that it means, the last view of it, and the error that ended it, if any."""

    exit_code: int
    view: RunView
    error: BaseException | None = None


def drive(pipeline: BatchPipeline, style: Style, *, resume: bool = True, accept_changes: bool = False) -> Outcome:
    """Run the pipeline to its end, a stop or a failure.

    Raises:
        PipelineError: nothing was begun.
    """
    before = pipeline.view().run_id
    with StopOnSignals(pipeline) as signals, Reporter(pipeline.view, style):
        future = _aside(lambda: pipeline.run(resume, accept_changes=accept_changes))
        # The kernel may give a signal to a thread of Polars or DuckDB, which leaves this one asleep: so it wakes up
        # by itself, for Python to call the handler.
        while not wait([future], _LOOK_SECONDS).done:
            pass
        error = future.exception()
    view = pipeline.view()
    if error is None:
        stopped = view.state is RunState.RESUMABLE
        exit_code = (INTERRUPTED if signals.interrupted else RESUMABLE) if stopped else DONE
        return Outcome(exit_code, view)
    if view.run_id is None or view.run_id == before:
        raise error
    return Outcome(error.exit_code if isinstance(error, PipelineError) else FAILED, view, error)


def _aside(function: Callable[[], Frontier]) -> Future[Frontier]:
    """Call `function` in a thread of its own: the main one stays free for signals, even while C code hangs."""
    future: Future[Frontier] = Future()

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
        yield progress_line.stopped(view) if outcome.exit_code else progress_line.finished(view)
        return
    failure = view.failures[-1] if view.failure_count else None
    lines = safe_lines(describe(outcome.error) if failure is None else failure.message)
    yield f"failed: {lines[0]}"
    yield from lines[1:]
    if failure is not None:
        yield from rows_in_words(failure)
    yield f"frontier: {frontier_in_words(view.frontier, view.rows_committed, view.rows_to_go)}"
    hint = outcome.error.hint if isinstance(outcome.error, PipelineError) else ""
    if hint:
        yield f"hint: {safe(hint)}"
    yield f"traceback: batch-pipeline failures --full --checkpoint-dir {quoted(checkpoint_dir)}"


def quoted(path: Path) -> str:
    """Return a path as a shell takes it, and as a terminal may show it."""
    import shlex

    return safe(shlex.quote(str(path)))
