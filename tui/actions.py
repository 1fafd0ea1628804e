"""The registry of actions: the key of each, its words, when it is possible, and whether it destroys something.

Bindings, footer, command palette, help screen, `check_action` and every key named in a text on the screen are made
from `ACTIONS`, so they can't disagree. A new key is one `action_…` method, named after the id, and one entry here. Two
actions may share a key if no situation allows both: r is Run, Resume or Retry. This module must not know screens or
widgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Literal

from textual.binding import Binding

from engine import RunState

if TYPE_CHECKING:
    from collections.abc import Iterable

LIVE = frozenset(state for state in RunState if state.is_live)
STILL = frozenset(RunState) - LIVE
DONE_SOME = STILL - {RunState.IDLE}
DONE_ALL = frozenset(state for state in STILL if state.is_finished)
ANY: frozenset[RunState | None] = STILL | LIVE | {None}


class Scope(Enum):
    """Where an action is possible: on the dashboard only, or on every screen."""

    DASHBOARD = auto()
    APP = auto()


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides which actions are possible: the state, and facts that an action may need."""

    state: RunState | None = None
    """None while no pipeline is loaded."""
    working: bool = False
    """A job is in progress on the checkpoint; a run that has begun doesn't count."""
    committed: bool = False
    """At least one batch is committed."""
    failure: bool = False
    """There is a failure to show."""
    can_quarantine: bool = False
    """The failure may be the fault of single rows, which can be taken out of the batch."""
    quarantined: bool = False
    """There are rows in quarantine."""
    replaying: bool = False
    """They are being replayed."""

    @property
    def loaded(self) -> bool:
        """Whether a pipeline is loaded."""
        return self.state is not None

    @property
    def resting(self) -> bool:
        """Whether another job may begin on the checkpoint."""
        return not self.working

    @property
    def cannot_quarantine(self) -> bool:
        """Whether no rows can be taken out, for a reason that the screen can give."""
        return not self.can_quarantine


Need = Literal[
    "loaded", "resting", "committed", "failure", "can_quarantine", "cannot_quarantine", "quarantined", "replaying"
]
"""A fact of a `Situation` without which an action makes no sense."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action. `footer` is its rank there: a smaller one is kept longer in a narrow footer, None is never shown."""

    id: str
    key: str
    words: str
    help: str
    states: frozenset[RunState | None] = ANY
    needs: tuple[Need, ...] = ()
    destructive: bool = False
    footer: int | None = None
    scope: Scope = Scope.DASHBOARD
    in_palette: bool = True
    priority: bool = False

    def possible(self, situation: Situation) -> bool:
        """Return whether the action is possible in this situation."""
        return situation.state in self.states and all(getattr(situation, need) for need in self.needs)

    @property
    def key_words(self) -> str:
        """The key as people write it: `^s` for ctrl+s.

        >>> ACTION["screenshot"].key_words, ACTION["filter"].key_words
        ('^s', '/')
        """
        return _KEY_WORDS.get(self.key) or self.key.replace("ctrl+", "^")


_KEY_WORDS = {"slash": "/", "question_mark": "?", "f5": "F5", "escape": "Esc"}
_GO: tuple[Need, ...] = ("loaded", "resting")

ACTIONS: tuple[Action, ...] = (
    Action("run", "r", "Run", "Run the pipeline from the first batch.", frozenset({RunState.IDLE}), _GO, footer=0),
    Action(
        "resume", "r", "Resume", "Continue from the frontier.",
        frozenset({RunState.RESUMABLE, RunState.CRASHED}), _GO, footer=0,
    ),
    Action(
        "retry", "r", "Retry", "Run again from the batch that failed; an edited pipeline file is loaded again.",
        frozenset({RunState.FAILED}), _GO, footer=0,
    ),
    Action(
        "run_on", "r", "Run on", "Process the rows that were added to the source since the last run.",
        DONE_ALL, _GO, footer=7,
    ),
    Action(
        "stop", "s", "Stop", "Finish and commit the batches in flight, then stop.",
        frozenset({RunState.RUNNING}), footer=1,
    ),
    Action(
        "stop_now", "S", "Stop now", "Give up the batches in flight; what is committed stays.",
        LIVE, footer=2,
    ),
    Action(
        "stop_replay", "s", "Stop", "End the replay after its current batch.",
        STILL, ("replaying",), footer=1,
    ),
    Action(
        "quarantine", "k", "Quarantine", "Take the rows that fail out of the batch, keep them, and continue.",
        frozenset({RunState.FAILED}), (*_GO, "can_quarantine"), footer=2,
    ),
    Action(
        "why_no_quarantine", "k", "Why not", "Say why no rows can be taken out of the batch that failed.",
        frozenset({RunState.FAILED}), (*_GO, "cannot_quarantine"), in_palette=False,
    ),
    Action(
        "replay", "p", "Replay", "Process the rows in quarantine again; an edited pipeline file is loaded again.",
        DONE_SOME, (*_GO, "quarantined"), footer=3,
    ),
    Action(
        "rewind", "w", "Rewind", "Move the frontier back to a batch; says what is lost, and asks.",
        DONE_SOME, (*_GO, "committed"), destructive=True, footer=5,
    ),
    Action(
        "reset", "R", "Reset", "Drop all results and start over; says what is lost, and asks.",
        DONE_SOME, _GO, destructive=True, footer=6,
    ),
    Action(
        "export", "e", "Export", "Write the results into one .parquet, .csv or .duckdb file.",
        needs=("loaded", "committed"), footer=4,
    ),
    Action(
        "export_quarantine", "E", "Export quarantine", "Write the rows in quarantine, with their errors, into a file.",
        DONE_SOME, (*_GO, "quarantined"), footer=11,
    ),
    Action("copy", "c", "Copy", "Copy the detail as plain text.", needs=("loaded",)),
    Action(
        "open_source", "o", "Open source", "Open the line that failed in $EDITOR.",
        needs=("loaded", "failure"), footer=3,
    ),
    Action("read_again", "f5", "Reload", "Load the pipeline file and the checkpoint again.", STILL | {None},
           ("resting",)),
    Action("report", "m", "Report", "Write the run as a Markdown file.", needs=("loaded",)),
    Action("filter", "slash", "Filter", "Show only the failures that contain a text.", footer=9),
    Action("zoom", "z", "Zoom", "Show the pane in focus on the whole screen, or all panes again.", footer=8),
    Action("freeze", "f", "Freeze", "Stop updating the panes; the run and the top line continue."),
    Action("back", "escape", "Back", "Leave the filter, or the zoom.", in_palette=False),
    Action("open_other", "ctrl+o", "Open", "Choose another pipeline.", STILL | {None}, ("resting",),
           scope=Scope.APP),
    Action("theme", "t", "Theme", "Switch to the next theme.", scope=Scope.APP),
    Action("screenshot", "ctrl+s", "Screenshot", "Save the screen as an SVG picture.", scope=Scope.APP),
    Action("command_palette", "ctrl+p", "Palette", "Search all commands.", footer=10, scope=Scope.APP, in_palette=False,
           priority=True),
    Action("help", "question_mark", "Help", "Show all keys and what they do.", footer=1, scope=Scope.APP),
    Action("suspend_process", "ctrl+z", "Suspend", "Go back to the shell; `fg` returns. A run pauses meanwhile.",
           scope=Scope.APP),
    Action("leave", "q", "Quit", "Quit; asks first while a run is in progress.", footer=0, scope=Scope.APP),
    Action("interrupt", "ctrl+c", "Interrupt", "Stop gracefully and quit; twice: stop now and quit.",
           scope=Scope.APP, in_palette=False, priority=True),
)  # fmt: skip
"""In the order of footer and help."""

ACTION = {action.id: action for action in ACTIONS}


def key_of(action_id: str) -> str:
    """Return the key of an action as people write it.

    >>> key_of("run"), key_of("back")
    ('r', 'Esc')
    """
    return ACTION[action_id].key_words


def keys_of(*action_ids: str) -> str:
    """Return the keys of actions as Textual writes them in a binding.

    >>> keys_of("back", "help")
    'escape,question_mark'
    """
    return ",".join(ACTION[action_id].key for action_id in action_ids)


def key_hint(action_id: str) -> str:
    """Return the key and the words of an action.

    >>> key_hint("open_source")
    'o open source'
    """
    return f"{key_of(action_id)} {ACTION[action_id].words.lower()}"


def key_hints(*action_ids: str) -> str:
    """Return the hints of several actions in one line.

    >>> key_hints("copy", "retry")
    'c copy · r retry'
    """
    return " · ".join(map(key_hint, action_ids))


def bindings(scope: Scope) -> list[Binding]:
    """Return the bindings of one scope."""
    return [
        Binding(action.key, action.id, action.words, show=False, priority=action.priority)
        for action in ACTIONS
        if action.scope is scope
    ]


def possible(action_id: str, situation: Situation) -> bool:
    """Return whether an action is possible now; what is not in the registry always is."""
    action = ACTION.get(action_id)
    return action is None or action.possible(situation)


def footer_actions(situation: Situation, width: int, *, dashboard: bool = True) -> list[Action]:
    """Return the actions for a footer of `width` cells, in the registry's order.

    `dashboard=False` is the footer of another screen, which shows only what is possible everywhere.

    >>> [action.words for action in footer_actions(Situation(RunState.IDLE), width=24)]
    ['Run', 'Help', 'Quit']
    """
    shown = [
        action
        for action in ACTIONS
        if action.footer is not None and (dashboard or action.scope is Scope.APP) and action.possible(situation)
    ]
    while len(shown) > 1 and sum(_cells(action) for action in shown) > width:
        shown.remove(max(shown, key=lambda action: (action.footer or 0, -ACTIONS.index(action))))
    return shown


def _cells(action: Action) -> int:
    return len(action.key_words) + 1 + len(action.words) + 2


def in_palette(situation: Situation) -> Iterable[Action]:
    """Yield the possible actions that the command palette offers."""
    return (action for action in ACTIONS if action.in_palette and action.possible(situation))
