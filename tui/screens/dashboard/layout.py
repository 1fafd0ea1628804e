"""Which panes there are, by which key, and which of them share a place as tabs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pane:
    """One pane: the digit that goes there, its id, its name on the screen."""

    digit: str
    id: str
    name: str


PANES = (
    Pane("1", "steps", "Steps"),
    Pane("2", "throughput", "Throughput"),
    Pane("3", "batches", "Batches"),
    Pane("4", "runs", "Runs"),
    Pane("5", "failures", "Failures"),
    Pane("6", "quarantine", "Quarantine"),
    Pane("7", "results", "Results"),
    Pane("8", "log", "Log"),
    Pane("9", "detail", "Detail"),
)
PANE = {pane.id: pane for pane in PANES}
_TABS = ("failures", "quarantine", "results", "log")
_COMPACT_TABS = ("throughput", "runs", *_TABS)


def tabs(*, compact: bool) -> tuple[str, ...]:
    """Return the ids of the panes that share one place; on a small screen throughput and runs are among them."""
    return _COMPACT_TABS if compact else _TABS


def tab_title(active: str, *, compact: bool, width: int, separator: str = "│") -> str:
    """Return the border title of the pane in front: all tabs as links, the active one bold.

    Names that don't fit into `width` cells are shortened to their digits. All of it is ours, so it is markup.

    >>> tab_title("log", compact=False, width=60).partition(" │ ")[0]
    "[not b @click=screen.go('failures')]5 Failures[/]"
    >>> tab_title("log", compact=False, width=20).split(" │ ")[2:]
    ["[not b @click=screen.go('results')]7[/]", '[b]8 Log[/b]']
    """
    shown = [PANE[pane_id] for pane_id in tabs(compact=compact)]
    fits = sum(len(pane.name) + 5 for pane in shown) <= width
    return f" {separator} ".join(_tab(pane, active=pane.id == active, whole=fits) for pane in shown)


def _tab(pane: Pane, *, active: bool, whole: bool) -> str:
    if active:
        return f"[b]{pane.digit} {pane.name}[/b]"
    words = f"{pane.digit} {pane.name}" if whole else pane.digit
    return f"[not b @click=screen.go('{pane.id}')]{words}[/]"
