"""The command line `batch-pipeline`: it runs, shows and repairs pipelines from a shell or a cron job.

Invariants: stdout carries results only, stderr carries messages; each way to end has its `ExitCode`; text from data,
errors and paths passes `terminal_safe.safe` before it reaches a screen. It uses the public part of the engine only.
Importing it loads neither Polars nor DuckDB: help must be quick.

    app             the table of the commands
    commands/       one file for each command, or for a few that belong together
    targets         TARGET and --checkpoint-dir, made into a pipeline or a checkpoint
    confirm         --yes, and the question before something is lost
    run_and_report  one run with its signals, its progress and its last words
    signals         SIGINT, SIGTERM and SIGHUP, made into stop requests
    reporter        the thread that shows the progress of a run
    progress_line   what it shows: a bar or a line of counters
    json_lines      events as JSON, for --json
    sentences       losses, frontiers and failures in words
    tables          rows as a table or as CSV
    streams         stdout and stderr, also when nobody reads them
    error_exit      errors, made into sentences and exit codes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with `arguments`, or with those of the process; return the exit code."""
    from engine.cli.error_exit import run_app

    return run_app(arguments)
