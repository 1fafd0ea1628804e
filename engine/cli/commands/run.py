"""`batch-pipeline run`: from the frontier to the end of the source."""

import sys
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.confirm import require_agreement
from engine.cli.sentences import loss_in_words
from engine.cli.streams import say
from engine.cli.targets import Yes
from engine.errors import UsageError
from engine.loading.executor import ExecutorChoice, executor_named
from engine.text.exit_codes import ExitCode
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine.pipeline import BatchPipeline
    from engine.policy import OnError, Quarantine


class OnErrorChoice(StrEnum):
    """What to do with rows that a step can't process."""

    STOP = "stop"
    QUARANTINE = "quarantine"


def run(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The pipeline: file.py[:name] or package.module:name.")
    ],
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Drop the results and start over.")] = False,
    batch_size: Annotated[int | None, typer.Option(metavar="ROWS", help="Source rows a batch.")] = None,
    checkpoint_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the checkpoint is.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Batches worked on at the same time.")] = None,
    executor: Annotated[
        ExecutorChoice | None, typer.Option(help="Where batches run: threads of this process, or a Ray cluster.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of the cluster, or auto; without it one is started here.")
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on although steps or source have changed.")
    ] = False,
    on_error: Annotated[
        OnErrorChoice | None,
        typer.Option(help="Stop before the batch of a row that a step can't process, or take such rows out."),
    ] = None,
    max_quarantined: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="How many rows may be taken out, instead of the pipeline's limits."),
    ] = None,
    fail_on_quarantine: Annotated[
        bool, typer.Option("--fail-on-quarantine", help="Exit code 5 when it finishes with rows in quarantine.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write each event as a line of JSON to stdout.")] = False,
    yes: Yes = False,
) -> ExitCode:
    """Run a pipeline from its frontier to the end of its source.

    The first Ctrl-C (or SIGTERM, or a closed terminal) finishes the batches in flight, the second gives them
    up, the third ends at once. Whatever happens, the same command goes on from the frontier.
    """
    from engine.cli.json_lines import JsonLines
    from engine.cli.reporter import Style
    from engine.cli.run_and_report import drive, ending
    from engine.loading.target import load

    stdout = sys.stdout
    with redirect_stdout(sys.stderr):  # stdout is for results: what their code prints is talk
        pipeline = load(target).with_options(
            batch_size=batch_size,
            checkpoint_dir=checkpoint_dir,
            workers=workers,
            executor=executor_named(executor, ray_address),
        )
        limits = _limits(pipeline, on_error, max_quarantined)
        if fresh:
            _agree_to_drop(pipeline, yes=yes)
        if json:
            pipeline.add_listener(JsonLines(stdout))
        style = Style.WORDS if json else Style.for_stderr()
        outcome = drive(
            pipeline,
            style,
            resume=not fresh,
            accept_changes=accept_changes,
            on_error=limits,
            fail_on_quarantine=fail_on_quarantine,
        )
    for line in ending(outcome, pipeline.checkpoint_dir):
        say(line)
    return outcome.exit_code


def _limits(
    pipeline: "BatchPipeline", on_error: OnErrorChoice | None, max_quarantined: int | None
) -> "OnError | Quarantine | None":
    """Return what the options say of rows that fail, None when they leave it to the pipeline."""
    from engine.policy import Quarantine

    if on_error is OnErrorChoice.STOP and max_quarantined is not None:
        raise UsageError("--max-quarantined means nothing with --on-error stop", hint="Leave one of the two out.")
    if on_error is OnErrorChoice.STOP:
        return "stop"
    if on_error is None and pipeline.on_error is None and max_quarantined is not None:
        raise UsageError(
            "this pipeline stops at a row that a step can't process", hint="Add --on-error quarantine to take rows out."
        )
    if max_quarantined is not None:
        return Quarantine(max_rows=max_quarantined, max_fraction=None)
    return (pipeline.on_error or "quarantine") if on_error is OnErrorChoice.QUARANTINE else None


def _agree_to_drop(pipeline: "BatchPipeline", *, yes: bool) -> None:
    from engine.checkpoint.view import CheckpointView

    with CheckpointView(pipeline.checkpoint_dir).open() as store:
        loss = store.loss_of_rewind(-1) if store else None
    if loss:
        where = safe(str(pipeline.checkpoint_dir))
        require_agreement(f"starting over drops {loss_in_words(loss)} in {where}", "Drop them?", yes=yes)
