"""Which panes there are, which key goes to each, and which of them share one place on the screen as tabs.

A new pane is one file in `tui/widgets` and one entry in `_PLACES`: its id, digit, title, key and help follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from tui.widgets.batch_grid import BatchGridPane
from tui.widgets.detail import DetailPane
from tui.widgets.failures import FailuresPane
from tui.widgets.log import LogPane
from tui.widgets.quarantine import QuarantinePane
from tui.widgets.results import ResultsPane
from tui.widgets.runs import RunsPane
from tui.widgets.steps import StepsPane
from tui.widgets.throughput import ThroughputPane

if TYPE_CHECKING:
    from tui.widgets.drawing.pane import Pane


class Place(Enum):
    """Where a pane is on the dashboard, which is compact when the terminal is too small for all panes."""

    OWN = auto()
    """A place of its own, always."""
    OWN_OR_TAB = auto()
    """A place of its own; one of the tabs on a compact dashboard."""
    OWN_OR_SCREEN = auto()
    """A place of its own; a screen of its own on a compact dashboard."""
    TAB = auto()
    """One of the tabs, always."""


_PLACES: dict[type[Pane[Any]], Place] = {
    StepsPane: Place.OWN,
    ThroughputPane: Place.OWN_OR_TAB,
    BatchGridPane: Place.OWN,
    RunsPane: Place.OWN_OR_TAB,
    FailuresPane: Place.TAB,
    QuarantinePane: Place.TAB,
    ResultsPane: Place.TAB,
    LogPane: Place.TAB,
    DetailPane: Place.OWN_OR_SCREEN,
}
"""In the order of the digits, and of the places on the screen."""


@dataclass(frozen=True, slots=True)
class PlacedPane:
    """One pane of the dashboard and the digit that goes there."""

    digit: str
    widget: type[Pane[Any]]
    place: Place

    @property
    def name(self) -> str:
        """The name on the screen."""
        return self.widget.TITLE

    @property
    def id(self) -> str:
        """The id of the widget."""
        return self.name.lower()

    @property
    def title(self) -> str:
        """The digit and the name, as in the border."""
        return f"{self.digit} {self.name}"


PANES = tuple(PlacedPane(str(number % 10), *pane) for number, pane in enumerate(_PLACES.items(), 1))
PANE = {pane.id: pane for pane in PANES}


def tabs(*, compact: bool) -> tuple[str, ...]:
    """Return the ids of the panes that share one place."""
    shared = {Place.TAB, Place.OWN_OR_TAB} if compact else {Place.TAB}
    return tuple(pane.id for pane in PANES if pane.place in shared)


def displayed(active: str, *, compact: bool) -> set[str]:
    """Return the ids of the panes to display: `active` of those that share one place, and all others with a place.

    >>> sorted(displayed("log", compact=True))
    ['batches', 'log', 'steps']
    """
    own = {Place.OWN} if compact else {Place.OWN, Place.OWN_OR_TAB, Place.OWN_OR_SCREEN}
    return {pane.id for pane in PANES if pane.place in own} | {active}


def tab_title(active: str, *, compact: bool, width: int, separator: str = "│") -> str:
    """Return the border title of the pane in front: all tabs as links, the active one bold.

    Names that don't fit into `width` cells are shortened to their digits. The result is markup
    and holds no foreign text.

    >>> tab_title("log", compact=False, width=60).partition(" │ ")[0]
    "[not b @click=screen.go('failures')]5 Failures[/]"
    >>> tab_title("log", compact=False, width=20).split(" │ ")[2:]
    ["[not b @click=screen.go('results')]7[/]", '[b]8 Log[/b]']
    """
    shown = [PANE[pane_id] for pane_id in tabs(compact=compact)]
    fits = sum(len(pane.name) + 5 for pane in shown) <= width
    return f" {separator} ".join(_tab(pane, active=pane.id == active, whole=fits) for pane in shown)


def _tab(pane: PlacedPane, *, active: bool, whole: bool) -> str:
    if active:
        return f"[b]{pane.title}[/b]"
    return f"[not b @click=screen.go('{pane.id}')]{pane.title if whole else pane.digit}[/]"
