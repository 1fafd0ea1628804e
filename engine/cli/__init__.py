"""The headless command line, `batch-pipeline`: runs, watches and mends pipelines from a shell or a cron job.

Invariants: stdout carries results and nothing else, stderr the talk; every way out has its exit code
(0 done, 1 failed, 2 usage, 3 checkpoint locked or corrupt, 4 stopped and resumable, 5 rows in quarantine where that
counts, 130 interrupted); what comes from data, errors and paths passes `terminal_safe.safe` on its way to a screen.
Importing this loads neither Polars nor DuckDB: help must answer at once.

    app            the commands and their names
    boundary       errors into sentences and exit codes
    streams        stdout and stderr, and what happens when nobody reads them
    driving        one run with its signals and its reporter
    signals        SIGINT, SIGTERM and SIGHUP into stop requests
    reporter       the thread that shows how far a run is
    progress_line  what it shows: a bar, or a line of counters
    failure_text   what is said of a failed batch
    wording        numbers, durations, sizes, losses in words
    agreement      asking before anything is lost
    places         from TARGET and --checkpoint-dir to a pipeline or a checkpoint
    commands       run_command, reading, moving, results_commands, quarantine_commands, verify_command,
                   demonstration
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with `arguments`, those of the process when None; return the exit code."""
    from engine.cli.error_exit import run_app

    return run_app(arguments)
