"""What runs without a command: a year of flights, one wrong row, a failure at 64 %, and how to continue from there.

The story goes to stdout: it is the result of this command. Progress and the words about a stop go to stderr.
"""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.reporter import Style
from engine.cli.run_and_report import last_words, run_and_report
from engine.cli.sentences import shell_quoted
from engine.cli.streams import flush_results, print_result
from engine.cli.tables import frame_lines
from engine.errors import StepFailed
from engine.text.exit_codes import ExitCode
from engine.text.format import counted
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine import BatchPipeline

# Imported by name: the engine must not depend on a sample that uses it.
_SAMPLE = "sample_data.flights"
_COLUMNS = ("carrier", "flight", "origin", "dest", "air_time", "distance", "speed_mph")
_RAISED_LIMIT_MPH = 800
_QUERY = "SELECT carrier, round(avg(speed_mph)) AS mph, count(*) AS flights FROM results GROUP BY ALL ORDER BY mph DESC"


def demonstrate() -> ExitCode:
    """Run the demonstration in a new folder under the current one; return the exit code."""
    build = import_module(_SAMPLE).build
    folder = _new_folder()
    pipeline: BatchPipeline = build(checkpoint_dir=folder)
    steps = " → ".join(step.name for step in pipeline.steps)
    _print(
        f"Flights out of New York City in 2013, in batches of {pipeline.batch_size:,} rows: {steps}",
        f"Every finished batch is durable in {safe(str(folder))}.",
        "",
    )
    result = run_and_report(pipeline, Style.for_stderr())
    if isinstance(result.error, StepFailed):
        _print(*last_words(result, folder))
        _print("", "The frontier, from which each later run continues:", pipeline.get_frontier().to_json(), "")
        _print(f"Accept this flight: with a limit of {_RAISED_LIMIT_MPH} mph, continue from the frontier.", "")
        pipeline = build(limit_mph=_RAISED_LIMIT_MPH, checkpoint_dir=folder)
        result = run_and_report(pipeline, Style.for_stderr(), accept_changes=True)
    _print(*last_words(result, folder))
    if result.exit_code is ExitCode.DONE:
        _show_results(pipeline, folder)
    return result.exit_code


def _new_folder() -> Path:
    name = datetime.now().astimezone().strftime("demo-%Y%m%d-%H%M%S")
    folder = Path("checkpoints", name)
    number = 2
    while folder.exists():
        folder = folder.with_name(f"{name}-{number}")
        number += 1
    return folder


def _show_results(pipeline: BatchPipeline, folder: Path) -> None:
    import polars as pl

    results = pipeline.scan_results()
    rows = results.select(pl.len()).collect().item()
    _print("", f"{counted(rows, 'result row')} in {safe(str(folder / 'results'))}, the first ones:")
    _print(*frame_lines(results.select(_COLUMNS).head(5).collect()))
    place = f"--checkpoint-dir {shell_quoted(folder)}"
    _print(
        "",
        "To try next:",
        f"  batch-pipeline history {place}",
        f'  batch-pipeline results sql "{_QUERY}" {place}',
        f"  batch-pipeline rewind 5 {place}",
        f"  batchpipe-tui {_SAMPLE}:pipeline        the same in the dashboard",
        f"  batch-pipeline run {_SAMPLE}:pipeline   and stop it with Ctrl-C; then again",
    )


def _print(*lines: str) -> None:
    print_result(*lines)
    flush_results()
