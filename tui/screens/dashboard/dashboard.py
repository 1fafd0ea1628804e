"""The dashboard: pulls the view eight times a second, passes it to the panes, and lays them out.

Panes that share one place as tabs are siblings, of which one is displayed. Nothing is moved or mounted again, so
resizing, zooming and switching tabs can't lose a selection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from engine.text.format import time_of_day
from tui.actions import Scope, bindings, key_of
from tui.backend.jobs import Job
from tui.backend.memory import resident_bytes
from tui.screens.dashboard.file_commands import FileCommands
from tui.screens.dashboard.run_commands import RunCommands
from tui.screens.dashboard.status_line import StatusLine, status_line
from tui.screens.footer import KeyFooter
from tui.screens.panes import PANE, PANES, Place, displayed, tab_title, tabs
from tui.widgets.drawing.pane import Pane
from tui.widgets.failures import FailuresPane
from tui.widgets.log import LogPane
from tui.widgets.runs import RunsPane
from tui.widgets.status_bar import StatusBar
from tui.widgets.throughput import ThroughputPane

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from textual.app import ComposeResult

    from tui.backend.bridge import Bridge
    from tui.backend.jobs import JobResult

PULLS_PER_SECOND = 8


class Dashboard(RunCommands, FileCommands):
    """The panes over one pipeline. `begin` runs it as soon as it is loaded."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.DASHBOARD),
        *(Binding(pane.digit, f"go('{pane.id}')", pane.name, show=False) for pane in PANES),
    ]

    def __init__(self, bridge: Bridge, *, now: Callable[[], datetime], begin: bool = False) -> None:
        super().__init__(bridge, now=now)
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-flat"), (22, "-low"), (30, "-tall")]
        self._begin = begin
        self._tab = "failures"
        self._zoomed: str | None = None
        self._frozen = False
        self._said: tuple[StatusLine, bool] | None = None
        self._drawn: tuple[object, ...] | None = None

    def compose(self) -> ComposeResult:
        """Status bar, status line, panes, filter, footer."""
        yield StatusBar()
        yield Static("", id="status-line", markup=False)
        with Container(id="body"):
            for pane in PANES:
                yield pane.widget(id=pane.id, title=pane.title)
        yield Input(
            placeholder=f"show only what contains this text; {key_of('back')} shows all", id="filter", compact=True
        )
        yield KeyFooter(dashboard=True)

    def on_mount(self) -> None:
        """Start to pull, and load the pipeline when the first picture is on the screen."""
        self.query_one("#filter").display = False
        self.query_one("#steps").focus()
        self.pull()
        self.set_interval(1 / PULLS_PER_SECOND, self.pull)
        self.call_after_refresh(self.bridge.load)

    def on_resize(self) -> None:
        """Lay the panes out for the new size; the selection stays."""
        self.lay_out()

    # --- pulling --------------------------------------------------------------------------------------

    def pull(self) -> None:
        """Show this instant."""
        self.seen = view = self.bridge.view()
        bar = self.query_one(StatusBar)
        bar.now = self.now()
        bar.show(view)
        self.query_one(LogPane).add([f"{time_of_day(line.at)}  {line.text}" for line in self.bridge.log.take()])
        if not self._frozen:
            self.fill_panes()
        self._show_status_line()
        situation = self.situation()
        # A pane writes its own title over the tabs when it is first drawn; its heading and size show when.
        front = self.query_one(f"#{self._tab}", Pane)
        rows = (len(view.steps), len(view.sinks))
        drawn = (situation, self._tab, self.size, self._frozen, front.heading_text, front.size, rows)
        if drawn != self._drawn:
            # Only when something changed that decides about keys: with each pull it would be slow and leak.
            self._drawn = drawn
            self.query_one(KeyFooter).show(situation)
            self.refresh_bindings()
            self.lay_out()

    def fill_panes(self) -> None:
        """Pass the view to the panes."""
        view = self.seen
        self.query_one(ThroughputPane).memory_bytes = resident_bytes()
        self.query_one(RunsPane).records = self.bridge.runs
        for pane in self.query_one("#body").query(Pane):
            pane.show(view)
        self.show_newest_failure()
        if self._tab == "results":
            self.ask_for_results()
        elif self._tab == "quarantine":
            self.ask_for_quarantine()

    def _show_status_line(self) -> None:
        said = status_line(self.seen, self.bridge.working, self.bridge.error)
        frozen = (f"FROZEN, {key_of('freeze')} continues  ", "bold $text-warning") if self._frozen else ""
        line = self.query_one("#status-line", Static)
        if (said, self._frozen) != self._said:
            self._said = (said, self._frozen)
            line.update(Content.assemble(frozen, self.shown(said.words), " ", (self.shown(said.hint), "$text-muted")))
            line.set_classes(said.tone.value)

    # --- layout ---------------------------------------------------------------------------------------

    def lay_out(self) -> None:
        """Decide which panes are displayed, and name the tabs in the border of the one in front."""
        if not self.is_mounted:
            return
        body = self.query_one("#body")
        self.set_class(self.compact, "-compact")
        body.set_class(self._zoomed is not None, "-zoomed")
        if self._tab not in tabs(compact=self.compact):
            self._tab = "failures"
        shown = {self._zoomed} if self._zoomed else displayed(self._tab, compact=self.compact)
        for pane in PANES:
            self.query_one(f"#{pane.id}").display = pane.id in shown
        self.styles_for_rows((len(self.seen.steps) or 3) + len(self.seen.sinks))
        front = self.query_one(f"#{self._tab}")
        title = tab_title(self._tab, compact=self.compact, width=front.size.width - 4)
        front.border_title = self.shown(title)

    def styles_for_rows(self, step_count: int) -> None:
        """Give the steps and sinks the lines that they need, but no more than a third of the screen."""
        lines = min(step_count + 4, max(7, self.size.height // (2 if self.compact else 3)))
        self.query_one("#body").styles.grid_rows = f"{lines} 7 1fr" if not self.compact else "1fr"
        self.query_one("#steps").styles.height = lines if self.compact and not self._zoomed else "1fr"

    def action_go(self, pane_id: str) -> None:
        """Put a pane in front and focus it; the detail is a screen of its own where there is no room."""
        if self.compact and PANE[pane_id].place is Place.OWN_OR_SCREEN:
            self.open_detail()
            return
        if pane_id in tabs(compact=self.compact):
            self._tab = pane_id
        if self._zoomed is not None:
            self._zoomed = pane_id
        self.lay_out()
        self.fill_panes()
        self.query_one(f"#{pane_id}").focus()

    def action_zoom(self) -> None:
        """Show the pane in focus on the whole screen, or all panes again."""
        focused = self._pane_in_focus()
        self._zoomed = None if self._zoomed is not None else focused
        self.lay_out()
        self.fill_panes()

    def _pane_in_focus(self) -> str:
        widget: Widget | None = self.focused
        while widget is not None and widget.id not in PANE:
            widget = widget.parent if isinstance(widget.parent, Widget) else None
        return widget.id if widget is not None and widget.id else self._tab

    def action_freeze(self) -> None:
        """Stop updating the panes, or start again."""
        self._frozen = not self._frozen
        self.pull()

    # --- filter ---------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Show the line for the filter."""
        line = self.query_one("#filter", Input)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the text is typed."""
        event.stop()
        self.query_one(FailuresPane).set_filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go to the list."""
        event.stop()
        self.action_go("failures")

    def action_back(self) -> None:
        """Leave the filter, or the zoom."""
        line = self.query_one("#filter", Input)
        if line.display:
            line.value = ""
            line.display = False
            self.query_one(f"#{self._tab}").focus()
        elif self._zoomed is not None:
            self.action_zoom()

    # --- jobs -----------------------------------------------------------------------------------------

    def job_ended(self, result: JobResult) -> None:
        """React to the end of a job."""
        self.pull()
        super().job_ended(result)
        if result.job is Job.LOAD and result.error is None and self._begin:
            self._begin = False
            self.bridge.run()
