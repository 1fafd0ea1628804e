"""`batch-pipeline recompute`: one damaged batch alone, again."""

from typing import Annotated

import typer

from engine.cli.streams import say
from engine.cli.targets import CheckpointDir
from engine.text.terminal_safe import safe


def recompute(
    n: Annotated[int, typer.Argument(metavar="N", min=0, help="The committed batch whose part is damaged.")],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The pipeline: file.py[:name] or package.module:name.")
    ],
    *,
    checkpoint_dir: CheckpointDir = None,
) -> None:
    """Compute batch N again.

    For a part that `verify` names: its rows are fetched and taken through the steps again, and the result takes the
    place of the damaged part. The batches behind it stay as they are.
    """
    import sys
    from contextlib import redirect_stdout

    from engine.loading.target import load

    with redirect_stdout(sys.stderr):  # stdout is for results: what their code prints is talk
        pipeline = load(target).with_options(checkpoint_dir=checkpoint_dir)
        pipeline.recompute(n)
    say(f"batch {n} was computed again in {safe(str(pipeline.checkpoint_dir))}")
