"""What a person does to the run and its frontier. Nothing is destroyed before a dialog has said what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.format import counted
from tui.outcome import Job
from tui.screens.base import DashboardBase
from tui.screens.changed import ChangedScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.rewind import RewindScreen

if TYPE_CHECKING:
    from engine.checkpoint.loss import Loss
    from tui.outcome import Done

KEPT = "The source and the history of runs stay. This can't be undone."


class RunCommands(DashboardBase):
    """Run, stop, rewind, reset, and what to do when they end."""

    def action_run(self) -> None:
        """Begin, or go on from the frontier."""
        self.bridge.run()

    action_resume = action_retry = action_run_on = action_run

    def action_stop(self) -> None:
        """Stop after the batches in flight."""
        self.bridge.stop()

    def action_stop_now(self) -> None:
        """Give up the batches in flight."""
        self.bridge.stop(now=True)

    def action_read_again(self) -> None:
        """Load the target and its checkpoint anew."""
        self.bridge.load()

    def action_reset(self) -> None:
        """Add up what is lost; the dialog opens when that is known."""
        self.bridge.measure_loss(-1)

    def action_rewind(self) -> None:
        """Ask where to, then add up what that loses."""

        def chosen(text: str | None) -> None:
            if text is not None:
                self.bridge.measure_loss(int(text.replace(",", "")))

        self.app.push_screen(RewindScreen(self.seen, self.batch_in_mind()), chosen)

    def batch_in_mind(self) -> int | None:
        """Return the batch that a person looks at, None when they look at none."""
        return None

    def confirm_loss(self, loss: Loss, batch_id: int) -> None:
        """Say exactly what is lost, and do it when the answer is yes."""
        everything = batch_id < 0

        def answered(yes: bool | None) -> None:  # noqa: FBT001 (Textual's callback)
            if yes and everything:
                self.bridge.reset()
            elif yes:
                self.bridge.rewind(batch_id)

        title = "Reset to the very start?" if everything else f"Go back to batch {batch_id:,}?"
        verb = "Drop everything" if everything else "Rewind"
        self.app.push_screen(ConfirmScreen(title, [f"This drops {in_words(loss)}.", KEPT], verb=verb), answered)

    def job_done(self, done: Done) -> None:
        """Show how a job ended that changes the checkpoint."""
        trouble = done.trouble
        if trouble is not None and trouble.differences:
            self.ask_about_changes(done)
        elif done.job is Job.LOSS and trouble is None:
            self.confirm_loss(done.value, done.asked)
        elif done.job in {Job.REWIND, Job.RESET} and trouble is None:
            count = done.value
            self.say(f"{counted(count, 'batch', 'batches')} dropped.")

    def ask_about_changes(self, done: Done) -> None:
        """The pipeline isn't the one of the checkpoint: go on with it?"""

        def answered(yes: bool | None) -> None:  # noqa: FBT001 (Textual's callback)
            if yes:
                self.bridge.run(accept_changes=True)

        if done.trouble is not None:
            committed = f"Batches up to {self.seen.frontier:,} were made by the pipeline"
            self.app.push_screen(ChangedScreen(done.trouble, committed=committed), answered)


def in_words(loss: Loss) -> str:
    """Return what is lost: batches, source rows to be done again, result rows."""
    return (
        f"{counted(loss.batches, 'batch', 'batches')}, {counted(loss.source_rows, 'source row')} "
        f"and the {counted(loss.result_rows, 'result row')} made of them"
    )
