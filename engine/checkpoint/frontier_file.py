"""`frontier.json`: the frontier for others to read.

Invariant: it may be older than the catalog, but is never ahead of it. The callers of `write` ensure that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import FrontierUnreadable
from engine.frontier import Frontier
from engine.storage import durable

if TYPE_CHECKING:
    from engine.checkpoint.layout import Layout


def write(layout: Layout, frontier: Frontier) -> None:
    """Replace the file, atomically but not durably: opening the checkpoint corrects an old file."""
    durable.replace_text(layout.frontier_file, frontier.to_json() + "\n", durable=False)


def shows(layout: Layout, frontier: Frontier) -> bool:
    """Return whether the file exists and holds exactly this frontier."""
    try:
        return Frontier.load(layout.frontier_file) == frontier
    except FrontierUnreadable:
        return False
