"""The keys for the run, its frontier and its quarantine. Nothing is destroyed before a dialog has said what is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.text.format import counted
from tui.backend.jobs import Job
from tui.screens.dashboard.quarantine_rule import why_no_quarantine
from tui.screens.dashboard.selection import Selection
from tui.screens.dialogs.ask import RewindScreen
from tui.screens.dialogs.confirm import ChangedScreen, ConfirmScreen
from tui.widgets.steps import blocking_failure

if TYPE_CHECKING:
    from engine import Loss, Replayed
    from tui.backend.jobs import ErrorReport, JobResult


class RunCommands(Selection):
    """Run, stop, quarantine, replay, rewind, reset, and what to show when they end."""

    def action_run(self) -> None:
        """Run from the frontier on."""
        self.bridge.run()

    action_resume = action_retry = action_run_on = action_run

    def action_quarantine(self) -> None:
        """Run again from the batch that failed, and take its bad rows out.

        It asks nothing: the rows are kept, and a replay or a rewind brings them back.
        """
        self.bridge.run(quarantine=True)

    def action_why_no_quarantine(self) -> None:
        """Say why that would not help."""
        self.say(why_no_quarantine(self.bridge.view(), self.bridge.stopping_steps), bad=True)

    def action_replay(self) -> None:
        """Process the rows in quarantine again."""
        self.bridge.replay()

    def action_stop(self) -> None:
        """Stop after the batches in flight, or a replay after its batch."""
        self.bridge.stop()

    action_stop_replay = action_stop

    def action_stop_now(self) -> None:
        """Give up the batches in flight."""
        self.bridge.stop(now=True)

    def action_read_again(self) -> None:
        """Load the target and its checkpoint again."""
        self.bridge.load()

    def action_reset(self) -> None:
        """Add up what is lost; the dialog opens when that is known."""
        self.bridge.measure_loss(-1)

    def action_rewind(self) -> None:
        """Ask for the batch, then add up what that loses."""
        dialog = RewindScreen(self.seen, self.selected_batch_id)
        dialog.ask(self.app, lambda text: self.bridge.measure_loss(int(text.replace(",", ""))))

    def job_ended(self, result: JobResult) -> None:
        """Show how a job ended that may have changed the checkpoint, or ask before one does."""
        error = result.error
        if error is not None and error.differences:
            self._ask_about_changes(result, error)
        elif error is not None:
            if result.job is Job.RUN and result.asked and error.kind == "StepFailed":
                self._say_that_nothing_was_taken_out()
        elif result.job is Job.LOSS:
            self._confirm_loss(result.value, result.asked)
        elif result.job in {Job.REWIND, Job.RESET}:
            self.say(f"{counted(result.value, 'batch')} dropped.")
        elif result.job is Job.REPLAY:
            self.say(replayed_in_words(result.value))
        super().job_ended(result)

    def _ask_about_changes(self, result: JobResult, error: ErrorReport) -> None:
        def accepted(_: object) -> None:
            if result.job is Job.REPLAY:
                self.bridge.replay(accept_changes=True)
            else:
                self.bridge.run(accept_changes=True, quarantine=bool(result.asked))

        committed = f"Batches up to {self.seen.frontier:,} were made by the pipeline"
        ChangedScreen(error, committed=committed).ask(self.app, accepted)

    def _say_that_nothing_was_taken_out(self) -> None:
        # The run was to take bad rows out and failed at a step all the same. Its error doesn't say why.
        failure = blocking_failure(self.seen)
        if failure is not None and not why_no_quarantine(self.seen, self.bridge.stopping_steps):
            self.say(
                f"No rows could be taken out of batch {failure.batch_id:,}: the step fails at the batch and not at "
                "single rows, or with an error that another try may fix.",
                bad=True,
            )

    def _confirm_loss(self, loss: Loss, batch_id: int) -> None:
        title, verb = f"Go back to batch {batch_id:,}?", "Rewind"
        if batch_id < 0:
            title, verb = "Reset to the very start?", "Drop everything"
        lines = [f"This drops {loss_in_words(loss)}.", "The source and the history of runs stay. This can't be undone."]
        ConfirmScreen(title, lines, verb=verb).ask(self.app, lambda _: self.bridge.rewind(batch_id))


def loss_in_words(loss: Loss) -> str:
    """Return what is lost: batches, source rows to process again, rows in quarantine, result rows."""
    quarantined = f", {counted(loss.quarantined_rows, 'quarantined row')}" if loss.quarantined_rows else ""
    return (
        f"{counted(loss.batches, 'batch')}, {counted(loss.source_rows, 'source row')}{quarantined} "
        f"and the {counted(loss.result_rows, 'result row')} made of them"
    )


def replayed_in_words(replayed: Replayed) -> str:
    """Return what a replay came to.

    >>> from engine import Replayed
    >>> replayed_in_words(Replayed(rows=1, still=0))
    '1 row went through, and is among the results. The quarantine is empty.'
    """
    went = "No row went through."
    if replayed.rows:
        verb = "is" if replayed.rows == 1 else "are"
        went = f"{counted(replayed.rows, 'row')} went through, and {verb} among the results."
    left = "The quarantine is empty."
    if replayed.still:
        left = f"{counted(replayed.still, 'row')} {'is' if replayed.still == 1 else 'are'} still in quarantine."
    obstacles = [f"Some can't be replayed: {obstacle}." for obstacle in replayed.obstacles]
    return " ".join([went, left, *obstacles])
