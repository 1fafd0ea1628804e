"""`batch-pipeline reset` and `rewind`: move the frontier back, after the user has confirmed what is lost."""

from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.confirm import Yes, confirm
from engine.cli.sentences import frontier_in_words, loss_in_words
from engine.cli.streams import print_message
from engine.cli.targets import CheckpointDir, OptionalTarget, open_checkpoint
from engine.text.format import counted
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine import CheckpointView, Loss


def reset(target: OptionalTarget = None, *, checkpoint_dir: CheckpointDir = None, yes: Yes = False) -> None:
    """Drop all results.

    The next run starts over. The history of the runs is kept.
    """
    _rewind(open_checkpoint(target, checkpoint_dir), -1, "starting over", yes=yes)


def rewind(
    n: Annotated[int, typer.Argument(metavar="N", min=0, help="The batch that becomes the last committed one.")],
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    yes: Yes = False,
) -> None:
    """Go back to batch N, and drop the batches after it."""
    _rewind(open_checkpoint(target, checkpoint_dir), n, f"going back to batch {n}", yes=yes)


def _rewind(view: "CheckpointView", batch_id: int, what: str, *, yes: bool) -> None:
    folder = safe(str(view.checkpoint_dir))

    def confirm_loss(loss: "Loss") -> None:
        confirm(f"{what} drops {loss_in_words(loss)} in {folder}", "Drop them?", yes=yes)

    dropped = view.rewind(batch_id, confirm=confirm_loss)
    if not dropped:
        print_message(f"nothing to drop in {folder}")
        return
    frontier = view.get_frontier()
    where = frontier_in_words(frontier.last_completed_batch_id, frontier.total_rows_processed)
    print_message(f"{counted(dropped, 'batch')} dropped. Frontier: {where}.")
