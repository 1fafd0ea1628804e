"""What a person does to the run, its frontier and quarantine. Nothing is destroyed before a dialog has said what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.text.format import counted
from tui.backend.jobs import Job
from tui.screens.dashboard.base import DashboardBase
from tui.screens.dashboard.quarantine_rule import why_no_quarantine
from tui.screens.dialogs.ask import RewindScreen
from tui.screens.dialogs.confirm import ChangedScreen, ConfirmScreen
from tui.widgets.steps import blocking_failure

if TYPE_CHECKING:
    from engine import Replayed
    from tui.backend.jobs import Dropped, ErrorReport, JobResult

KEPT = "The source and the history of runs stay. This can't be undone."


class RunCommands(DashboardBase):
    """Run, stop, quarantine, replay, rewind, reset, and what to do when they end."""

    def action_run(self) -> None:
        """Begin, or go on from the frontier."""
        self.bridge.run()

    action_resume = action_retry = action_run_on = action_run

    def action_quarantine(self) -> None:
        """Go on with the batch that failed, and take its bad rows out.

        It asks nothing: the rows are kept, and a replay or a rewind brings them back.
        """
        self.bridge.run(quarantine=True)

    def action_why_no_quarantine(self) -> None:
        """Say why that wouldn't help."""
        self.say(why_no_quarantine(self.bridge.view(), self.bridge.stopping_steps), bad=True)

    def action_replay(self) -> None:
        """Put the rows in quarantine through the steps again."""
        self.bridge.replay()

    def action_stop(self) -> None:
        """Stop after the batches in flight, or a replay after its batch."""
        self.bridge.stop()

    action_stop_replay = action_stop

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

    def confirm_loss(self, dropped: Dropped, batch_id: int) -> None:
        """Say exactly what is lost, and do it when the answer is yes."""
        everything = batch_id < 0

        def answered(yes: bool | None) -> None:  # noqa: FBT001 (Textual's callback)
            if yes and everything:
                self.bridge.reset()
            elif yes:
                self.bridge.rewind(batch_id)

        title = "Reset to the very start?" if everything else f"Go back to batch {batch_id:,}?"
        verb = "Drop everything" if everything else "Rewind"
        self.app.push_screen(ConfirmScreen(title, [f"This drops {in_words(dropped)}.", KEPT], verb=verb), answered)

    def job_ended(self, result: JobResult) -> None:
        """Show how a job ended that changes the checkpoint."""
        error = result.error
        if error is not None and error.differences:
            self.ask_about_changes(result)
        elif result.job is Job.LOSS and error is None:
            self.confirm_loss(result.value, result.asked)
        elif result.job in {Job.REWIND, Job.RESET} and error is None:
            count = result.value
            self.say(f"{counted(count, 'batch')} dropped.")
        elif result.job is Job.REPLAY and error is None:
            self.say(replayed_in_words(result.value))
        elif result.job is Job.RUN and result.asked and error is not None:
            self.say_that_nothing_was_taken_out(error)

    def say_that_nothing_was_taken_out(self, error: ErrorReport) -> None:
        """A run that was to take bad rows out has failed at a step all the same; its error doesn't tell why."""
        failure = blocking_failure(self.seen)
        if (
            error.kind == "StepFailed"
            and failure is not None
            and not why_no_quarantine(self.seen, self.bridge.stopping_steps)
        ):
            self.say(
                f"No rows could be taken out of batch {failure.batch_id:,}: the step fails at the batch and not at "
                "single rows, or with an error that another try may mend.",
                bad=True,
            )

    def ask_about_changes(self, result: JobResult) -> None:
        """The pipeline isn't the one of the checkpoint: go on with it?"""

        def answered(yes: bool | None) -> None:  # noqa: FBT001 (Textual's callback)
            if yes and result.job is Job.REPLAY:
                self.bridge.replay(accept_changes=True)
            elif yes:
                self.bridge.run(accept_changes=True, quarantine=bool(result.asked))

        if result.error is not None:
            committed = f"Batches up to {self.seen.frontier:,} were made by the pipeline"
            self.app.push_screen(ChangedScreen(result.error, committed=committed), answered)


def in_words(dropped: Dropped) -> str:
    """Return what is lost: batches, source rows to be done again, result rows, rows in quarantine."""
    loss = dropped.loss
    quarantined = f", {counted(dropped.rows_quarantined, 'quarantined row')}" if dropped.rows_quarantined else ""
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
