"""Panes of the dashboard: each draws one immutable value, and posts a message when a person chooses something.

No widget touches the engine, a thread, a file or a clock.
"""

from tui.widgets.batch_grid import BatchGridPane
from tui.widgets.detail import DetailPane
from tui.widgets.drawing.pane import Pane
from tui.widgets.failures import FailuresPane
from tui.widgets.log import LogPane
from tui.widgets.quarantine import QuarantinePane
from tui.widgets.results import ResultsPane
from tui.widgets.runs import RunsPane
from tui.widgets.status_bar import StatusBar
from tui.widgets.steps import StepsPane
from tui.widgets.throughput import ThroughputPane

__all__ = [
    "BatchGridPane",
    "DetailPane",
    "FailuresPane",
    "LogPane",
    "Pane",
    "QuarantinePane",
    "ResultsPane",
    "RunsPane",
    "StatusBar",
    "StepsPane",
    "ThroughputPane",
]
