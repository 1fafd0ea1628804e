"""What all parts of the dashboard share: the bridge, the view of this instant, and short messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.screen import Screen

from engine import RunState
from engine.text.terminal_safe import safe
from tui.actions import Situation, possible
from tui.backend.jobs import Job
from tui.look.glyphs import UNICODE
from tui.screens.dashboard.quarantine_rule import why_no_quarantine

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tui.backend.bridge import Bridge
    from tui.backend.jobs import JobResult

TOAST_LIMIT = 400


class DashboardBase(Screen[None]):
    """A screen over one bridge. `seen` is the latest view that was pulled, also while the panes are frozen."""

    def __init__(self, bridge: Bridge, *, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.bridge = bridge
        self.now = now
        self.seen = bridge.view()

    @property
    def compact(self) -> bool:
        """Whether the terminal is too small for all panes at once."""
        return self.has_class("-narrow") or not self.has_class("-tall")

    def situation(self) -> Situation:
        """Return what decides which actions are possible at this instant: a key may come between two pulls."""
        bridge, view = self.bridge, self.bridge.view()
        failed = view.state is RunState.FAILED
        return Situation(
            state=view.state if bridge.loaded else None,
            working=bridge.working is not None and not (bridge.working is Job.RUN and view.state.is_live),
            committed=view.frontier >= 0,
            failure=bool(view.failures),
            can_quarantine=failed and not why_no_quarantine(view, bridge.stopping_steps),
            quarantined=view.rows_quarantined > 0,
            replaying=bridge.working is Job.REPLAY,
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is possible now, according to the registry."""
        del parameters
        return possible(action, self.situation())

    def job_ended(self, result: JobResult) -> None:
        """React to the end of a job."""

    def shown(self, text: str) -> str:
        """Return text of unknown origin in a form that is safe for this terminal."""
        return getattr(self.app, "glyphs", UNICODE).spelled(safe(text))

    def say(self, text: str, *, bad: bool = False) -> None:
        """Show a short message that disappears by itself; its text may be of unknown origin."""
        self.app.notify(safe(self.shown(text), TOAST_LIMIT), severity="error" if bad else "information", markup=False)
