"""TARGET and --checkpoint-dir: which pipeline, or which checkpoint without its pipeline, a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.streams import user_output_on_stderr
from engine.errors import UsageError

if TYPE_CHECKING:
    from engine import BatchPipeline, CheckpointView

Target = Annotated[str, typer.Argument(metavar="TARGET", help="The pipeline: file.py[:name] or package.module:name.")]
OptionalTarget = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGET",
        show_default=False,
        help="The pipeline: file.py[:name] or package.module:name. Not needed with --checkpoint-dir.",
    ),
]
CheckpointDir = Annotated[
    Path | None,
    typer.Option("--checkpoint-dir", metavar="DIR", help="The folder of the checkpoint, instead of the pipeline's."),
]


def load_pipeline(target: str, checkpoint_dir: Path | None = None) -> BatchPipeline:
    """Return the pipeline that `target` names, with its checkpoint in `checkpoint_dir` if that is given.

    Raises:
        TargetNotFound: the target can't be loaded.
    """
    from engine.loading.target import load

    with user_output_on_stderr():
        return load(target).with_options(checkpoint_dir=checkpoint_dir)


def open_checkpoint(target: str | None, checkpoint_dir: Path | None) -> CheckpointView:
    """Return the pipeline of `target`, or a view of the checkpoint in `checkpoint_dir` if there is no target.

    Raises:
        UsageError: both are missing, or there is no checkpoint in the folder.
        TargetNotFound: the target can't be loaded.
    """
    if target is not None:
        return load_pipeline(target, checkpoint_dir)
    if checkpoint_dir is None:
        raise UsageError("which checkpoint?", hint="Name a TARGET such as flights.py, or give --checkpoint-dir.")
    from engine import CheckpointView

    view = CheckpointView(checkpoint_dir)
    view.require()
    return view
