"""`frontier.json`: the frontier for others to read.

Invariant: it may be older than the catalog, but is never ahead of it. The callers of `write` ensure that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import FrontierUnreadable
from engine.frontier import Frontier
from engine.storage.durable import replace_text

if TYPE_CHECKING:
    from engine.checkpoint.layout import Layout


def write(layout: Layout, frontier: Frontier, *, durable: bool = False) -> None:
    """Replace the file, atomically. Unless it moves back, it needn't be durable: opening corrects an old file."""
    replace_text(layout.frontier_file, frontier.to_json() + "\n", durable=durable)


def shows(layout: Layout, frontier: Frontier) -> bool:
    """Return whether the file exists and holds exactly this frontier."""
    try:
        return Frontier.load(layout.frontier_file) == frontier
    except FrontierUnreadable:
        return False
