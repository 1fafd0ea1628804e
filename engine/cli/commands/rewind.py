"""`batch-pipeline reset` and `rewind`: move the frontier back, after saying what goes."""

from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.confirm import require_agreement
from engine.cli.sentences import frontier_in_words, loss_in_words
from engine.cli.streams import say
from engine.cli.targets import CheckpointDir, OptionalTarget, Place, Yes, place
from engine.text.format import counted
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine.checkpoint.store import CheckpointStore


def reset(target: OptionalTarget = None, *, checkpoint_dir: CheckpointDir = None, yes: Yes = False) -> None:
    """Drop all results.

    The next run starts over. The history of runs stays.
    """
    _go_back(place(target, checkpoint_dir), -1, yes=yes)


def rewind(
    n: Annotated[int, typer.Argument(metavar="N", min=0, help="The batch that becomes the last committed one.")],
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    yes: Yes = False,
) -> None:
    """Go back to batch N, dropping what is after it."""
    _go_back(place(target, checkpoint_dir), n, yes=yes)


def _go_back(where: Place, batch_id: int, *, yes: bool) -> None:
    # The checkpoint stays open while the question is: what was said to go is what goes.
    with where.checkpoint.open() as store:
        if store is None or not _lost(store, batch_id, where, yes=yes):
            say(f"nothing to drop in {safe(str(where.folder))}")
            return
        dropped = store.rewind(batch_id)
        rows = store.next_row
    say(f"{counted(dropped, 'batch')} dropped. Frontier: {frontier_in_words(batch_id, rows)}.")


def _lost(store: "CheckpointStore", batch_id: int, where: Place, *, yes: bool) -> bool:
    if batch_id >= store.next_batch_id:
        store.rewind(batch_id)  # raises: there is no such batch
    loss = store.loss_of_rewind(batch_id)
    if not loss:
        return False
    aim = f"going back to batch {batch_id}" if batch_id >= 0 else "starting over"
    require_agreement(f"{aim} drops {loss_in_words(loss)} in {safe(str(where.folder))}", "Drop them?", yes=yes)
    return True
