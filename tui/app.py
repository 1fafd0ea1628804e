"""The app: one bridge, the screens over it, and how the program ends.

Invariant: whatever happens to the screen, the run stops gracefully or continues to its next commit; nothing is lost
because the screen ends. The app must use the engine only through the bridge.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import App
from textual.message import Message

from engine import RunState
from engine.errors import describe
from engine.text.exit_codes import ExitCode
from engine.text.terminal_safe import safe
from tui import settings as stored
from tui.actions import Scope, Situation, bindings, key_of, possible
from tui.backend.bridge import Bridge
from tui.backend.jobs import Job, JobResult
from tui.backend.run_log import LogStream
from tui.backend.target import Overrides
from tui.look import themes
from tui.look.glyphs import ASCII, UNICODE, Glyphs
from tui.screens.palette import ActionCommands

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType
    from textual.command import Provider

    from engine import BatchPipeline
    from tui.screens.dashboard.base import DashboardBase
    from tui.screens.opening import OpeningScreen


class JobEnded(Message):
    """A job has ended."""

    def __init__(self, result: JobResult) -> None:
        self.result = result
        super().__init__()


class BatchPipeApp(App[None], inherit_bindings=False):
    """The dashboard as a program.

    Args:
        target: what to open, `file.py[:name]` or `package.module:name`; without it and `pipeline` the opening
            screen asks.
        pipeline: a pipeline object, instead of a target.
        bridge: instead of both; tests pass a fake.
        settings: the settings of this person; if given, the settings file is neither read nor written.
        glyphs: the characters to draw with, instead of those in the settings.
        theme: a theme's name, instead of the one in the settings.
        begin: run as soon as the pipeline is loaded.
        now: returns the time; tests pass a fixed clock.
    """

    TITLE = "batchpipe"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["styles/dashboard.tcss", "styles/dialogs.tcss", "styles/opening.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.APP)]
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ActionCommands}
    ESCAPE_TO_MINIMIZE = False

    def __init__(
        self,
        target: str | None = None,
        *,
        pipeline: BatchPipeline | None = None,
        bridge: Bridge | None = None,
        overrides: Overrides | None = None,
        settings: stored.Settings | None = None,
        glyphs: Glyphs | None = None,
        theme: str = "",
        begin: bool = False,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        super().__init__()
        self._settings_file = stored.settings_file() if settings is None else None
        self.settings = stored.load(self._settings_file) if self._settings_file else settings or stored.Settings()
        self.glyphs = glyphs or (ASCII if self.settings.ascii else UNICODE)
        self.set_class(self.glyphs.is_ascii, "-ascii")
        self.now = now or (lambda: datetime.now(UTC))
        self.bridge: Bridge | None = bridge
        self._overrides = overrides or Overrides()
        self._begin = begin
        self.ended_by_signal = False
        """Whether a signal asked for the end: then a screen that fails because its terminal is gone is no failure."""
        self._leaving = False
        self._interrupts = 0
        self._dashboard: DashboardBase | None = None
        if bridge is None and (target is not None or pipeline is not None):
            self.bridge = Bridge(target, pipeline=pipeline, overrides=self._overrides)
        for own in themes.OWN:
            self.register_theme(own)
        wanted = theme or self.settings.theme
        self.theme = wanted if wanted in self.available_themes else themes.DEFAULT

    def on_mount(self) -> None:
        """Open the first screen, and send what user code prints to the log."""
        # Textual's own streams would post a message for each print, which would drown the screen. It puts the
        # former ones back when it ends, whatever is there then.
        sys.stdout = sys.stderr = LogStream(self.printed)
        if self.bridge is not None:
            self.open_dashboard(self.bridge)
        else:
            self.open_opening()

    def open_opening(self) -> None:
        """Show the opening screen."""
        from tui.screens.opening import OpeningScreen

        self._dashboard = None
        self.push_screen(OpeningScreen(self.settings))

    def open_dashboard(self, bridge: Bridge) -> None:
        """Show a pipeline."""
        from tui.screens.dashboard.dashboard import Dashboard

        self.bridge = bridge
        bridge.deliver = self._deliver
        self._dashboard = Dashboard(bridge, now=self.now, begin=self._begin)
        self._begin = False
        self.push_screen(self._dashboard)

    async def action_open_other(self) -> None:
        """Close this pipeline and choose another one."""
        if self.bridge is not None:
            self.bridge.close(0.0)
            self.bridge = None
        if self._dashboard is not None:
            await self.pop_screen()
        self.open_opening()

    async def on_opening_screen_chosen(self, event: OpeningScreen.Chosen) -> None:
        """Open the pipeline that was chosen in the opening screen."""
        await self.pop_screen()
        overrides = self._overrides
        if overrides.checkpoint_dir is None:
            overrides = replace(overrides, checkpoint_dir=event.checkpoint_dir)
        self.open_dashboard(Bridge(event.target, overrides=overrides))

    # --- jobs -----------------------------------------------------------------------------------------

    def _deliver(self, result: JobResult) -> None:
        """Pass the result of a job on from a worker thread, unless the screen is closed."""
        if self.is_running:
            self.post_message(JobEnded(result))

    def on_job_ended(self, event: JobEnded) -> None:
        """Show how a job ended, or quit if the app was waiting for it."""
        if self._leaving and not (self.bridge and self.bridge.running):
            self.exit(return_code=self.exit_code())
            return
        if event.result.job is Job.LOAD and event.result.error is None:
            self._remember()
        if self._dashboard is not None:
            self._dashboard.job_ended(event.result)

    def _remember(self) -> None:
        bridge = self.bridge
        if bridge is None or bridge.pipeline is None or bridge.target is None:
            return
        pipeline = bridge.pipeline
        recent = stored.Recent(bridge.target.absolute, pipeline.name, str(pipeline.checkpoint_dir.resolve()))
        self._keep(self.settings.with_recent(recent))

    def _keep(self, settings: stored.Settings) -> None:
        self.settings = settings
        if self._settings_file is not None:
            problem = stored.save(settings, self._settings_file)
            if problem:
                self.notify(safe(problem), severity="warning", markup=False)

    # --- actions of every screen ----------------------------------------------------------------------

    def situation(self) -> Situation:
        """Return what decides which actions are possible."""
        return self._dashboard.situation() if self._dashboard is not None else Situation()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is possible now, according to the registry."""
        del parameters
        return possible(action, self.situation())

    def action_theme(self) -> None:
        """Switch to the next theme, and keep it."""
        self.theme = themes.next_theme(self.theme)
        self._keep(replace(self.settings, theme=self.theme))
        self.notify(self.theme, timeout=2, markup=False)

    def action_help(self) -> None:
        """Show the keys."""
        from tui.screens.dialogs.help import HelpScreen

        self.push_screen(HelpScreen(self.situation()))

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        """Save the screen as a picture in the current folder."""
        try:
            saved = self.save_screenshot(filename, path)
        except OSError as error:
            self.notify(f"The picture can't be saved: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(f"The picture is in {safe(str(Path(saved).resolve()))}.", markup=False)

    # --- leaving --------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Quit; ask first while a run is in progress."""
        view = self.bridge.view() if self.bridge is not None else None
        if view is None or not view.state.is_live:
            self.leave_when_stopped()
            return
        from tui.screens.dialogs.confirm import QuitScreen

        QuitScreen(view.batches_in_flight).ask(self, lambda _: self.leave_when_stopped())

    def action_interrupt(self) -> None:
        """Once: stop gracefully and quit. Twice: give up what is in flight. Three times: don't wait for that either."""
        self._interrupts += 1
        if self.bridge is None or not self.bridge.running or self._interrupts > 2:  # noqa: PLR2004 (see above)
            self.exit(return_code=ExitCode.INTERRUPTED if self._interrupts > 1 else self.exit_code())
            return
        self.leave_when_stopped(now=self._interrupts > 1)
        if self._interrupts == 1:
            self.notify(
                f"Stopping after the batches in flight, then leaving. {key_of('interrupt')} again gives them up.",
                markup=False,
            )

    def leave_when_stopped(self, *, now: bool = False) -> None:
        """Stop the run, and exit when it is over."""
        self._leaving = True
        if self.bridge is not None and self.bridge.running:
            self.bridge.stop(now=now)
        else:
            self.exit(return_code=self.exit_code())

    def leave_from_thread(self) -> None:
        """Exit; may be called from any thread."""
        with suppress(RuntimeError):  # the event loop has ended already
            self.call_later(self.exit, None, self.exit_code())

    @property
    def waits_for_run(self) -> bool:
        """Whether the batches in flight may finish after the screen has gone."""
        return self._interrupts < 2  # noqa: PLR2004 (the second Ctrl+C gives them up)

    @property
    def status(self) -> int:
        """The exit status of the program, once the screen has gone and the run is over."""
        return self.exit_code() if self.ended_by_signal else self.return_code or 0

    def exit_code(self) -> ExitCode:
        """Return the exit code for the last run of this session, DONE if nothing was run."""
        bridge = self.bridge
        if bridge is None:
            return ExitCode.DONE
        if bridge.error is not None:
            return bridge.error.exit_code
        view = bridge.view()
        if view.run_id is None:
            return ExitCode.DONE
        if self._interrupts > 1:
            return ExitCode.INTERRUPTED
        if view.state.is_finished:  # rows in quarantine are kept and reported: they are no failure
            return ExitCode.DONE
        return ExitCode.FAILED if view.state is RunState.FAILED else ExitCode.RESUMABLE

    def printed(self, text: str) -> None:
        """Write into the log what user code printed."""
        if self.bridge is not None:
            self.bridge.log.printed(text)

    def _fatal_error(self) -> None:
        """End with one line. Textual's own version prints the locals of every frame, and they may hold secrets.

        It is private, and Textual has no public hook: a test shows an error with a secret beside it.
        """
        error = sys.exception()
        text = describe(error) if error is not None else "an unknown error"
        self.panic(Text(f"The screen failed and was closed: {safe(text)}\nThe run was stopped after its last commit."))
