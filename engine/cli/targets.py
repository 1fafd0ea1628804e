"""From what stands on the command line to a pipeline, or to a checkpoint for which none is needed."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.checkpoint.view import CheckpointView
    from engine.pipeline import BatchPipeline

OptionalTarget = Annotated[
    str | None,
    typer.Argument(metavar="TARGET", show_default=False, help="The pipeline: file.py[:name] or package.module:name."),
]
CheckpointDir = Annotated[
    Path | None, typer.Option("--checkpoint-dir", metavar="DIR", help="The checkpoint's folder; needs no TARGET.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask; it is meant.")]


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint, and the pipeline that was named for it, if one was."""

    checkpoint: CheckpointView
    pipeline: BatchPipeline | None = None

    @property
    def folder(self) -> Path:
        """The checkpoint's folder."""
        return self.checkpoint.folder

    @property
    def steps(self) -> tuple[str, ...] | None:
        """The names of the pipeline's steps, None for those on record."""
        return tuple(step.name for step in self.pipeline.steps) if self.pipeline else None


def place(target: str | None, checkpoint_dir: Path | None) -> Place:
    """Return the checkpoint that is meant: that of the target unless a folder is named.

    Raises:
        UsageError: neither is given, or there is no checkpoint in the folder.
        TargetNotFound: the target can't be loaded.
    """
    from engine.checkpoint.view import CheckpointView

    if target is None:
        if checkpoint_dir is None:
            raise UsageError("which checkpoint?", hint="Name a TARGET such as flights.py, or give --checkpoint-dir.")
        view = CheckpointView(checkpoint_dir)
        view.require()
        return Place(view)
    from engine.loading.target import load

    with redirect_stdout(sys.stderr):  # stdout is for results: what their file prints is talk
        pipeline = load(target).with_options(checkpoint_dir=checkpoint_dir)
    return Place(CheckpointView(pipeline.checkpoint_dir), pipeline)
