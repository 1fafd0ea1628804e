"""`batch-pipeline run`: from the frontier to the end of the source."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.confirm import Yes, confirm
from engine.cli.sentences import loss_in_words
from engine.cli.streams import print_message, user_output_on_stderr
from engine.cli.targets import CheckpointDir, Target, load_pipeline
from engine.errors import UsageError
from engine.loading.executor import ExecutorChoice, executor_named
from engine.text.exit_codes import ExitCode
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine import BatchPipeline, OnError, Quarantine


class OnErrorChoice(StrEnum):
    """What to do with rows that a step can't process."""

    STOP = "stop"
    QUARANTINE = "quarantine"


def run(
    target: Target,
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Drop the results and start over.")] = False,
    batch_size: Annotated[int | None, typer.Option(metavar="ROWS", help="Source rows in each batch.")] = None,
    checkpoint_dir: CheckpointDir = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Number of batches in work at the same time.")
    ] = None,
    executor: Annotated[
        ExecutorChoice | None, typer.Option(help="Where batches run: in threads of this process, or on a Ray cluster.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The cluster's, or auto; without it, one is started here.")
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Continue although steps or source have changed.")
    ] = False,
    on_error: Annotated[
        OnErrorChoice | None,
        typer.Option(help="A row that a step can't process: stop before its batch, or put the row into quarantine."),
    ] = None,
    max_quarantined: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Maximum rows in quarantine, instead of the pipeline's limits."),
    ] = None,
    fail_on_quarantine: Annotated[
        bool, typer.Option("--fail-on-quarantine", help="Exit code 5 if it finishes with rows in quarantine.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write each event as a line of JSON to stdout.")] = False,
    yes: Yes = False,
) -> ExitCode:
    """Run a pipeline from its frontier to the end of its source.

    The first Ctrl-C (or SIGTERM, or a closed terminal) finishes the batches in flight, the second drops them, the
    third exits at once. In each case, the same command continues from the frontier.
    """
    from engine.cli.json_lines import JsonLines
    from engine.cli.reporter import Style
    from engine.cli.run_and_report import last_words, run_and_report

    with user_output_on_stderr() as stdout:
        pipeline = load_pipeline(target, checkpoint_dir).with_options(
            batch_size=batch_size, workers=workers, executor=executor_named(executor, ray_address)
        )
        limits = _limits(pipeline, on_error, max_quarantined)
        if fresh and (loss := pipeline.loss_of_rewind(-1)):
            folder = safe(str(pipeline.checkpoint_dir))
            confirm(f"starting over drops {loss_in_words(loss)} in {folder}", "Drop them?", yes=yes)
        if json:
            pipeline.add_listener(JsonLines(stdout))
        result = run_and_report(
            pipeline,
            Style.WORDS if json else Style.for_stderr(),
            resume=not fresh,
            accept_changes=accept_changes,
            on_error=limits,
            fail_on_quarantine=fail_on_quarantine,
        )
    print_message(*last_words(result, pipeline.checkpoint_dir))
    return result.exit_code


def _limits(
    pipeline: "BatchPipeline", on_error: OnErrorChoice | None, max_quarantined: int | None
) -> "OnError | Quarantine | None":
    """Return what the options say about rows that a step can't process; None if the pipeline decides."""
    from engine import Quarantine

    if on_error is OnErrorChoice.STOP:
        if max_quarantined is not None:
            raise UsageError("--max-quarantined means nothing with --on-error stop", hint="Leave one of the two out.")
        return "stop"
    if on_error is None and pipeline.on_error is None and max_quarantined is not None:
        raise UsageError(
            "this pipeline stops at a row that a step can't process",
            hint="Add --on-error quarantine to put such rows into quarantine.",
        )
    if max_quarantined is not None:
        return Quarantine(max_rows=max_quarantined, max_fraction=None)
    return (pipeline.on_error or "quarantine") if on_error is OnErrorChoice.QUARANTINE else None
