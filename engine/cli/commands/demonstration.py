"""What happens without a command: a year of flights, one wrong row, a failure at 64 %, and the way on from there.

The story goes to stdout, being all that this command is for; progress and a stop's words go to stderr.
"""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.reporter import Style
from engine.cli.run_and_report import drive, ending, quoted
from engine.cli.streams import flush_out, out
from engine.cli.tables import table_lines
from engine.errors import StepFailed
from engine.text.exit_codes import ExitCode
from engine.text.format import counted
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine.pipeline import BatchPipeline

# By name: the engine must not depend on a sample of what can be done with it.
_SAMPLE = "sample_data.flights"
_COLUMNS = ("carrier", "flight", "origin", "dest", "air_time", "distance", "speed_mph")
_MENDED_LIMIT_MPH = 800
_QUERY = "SELECT carrier, round(avg(speed_mph)) AS mph, count(*) AS flights FROM results GROUP BY ALL ORDER BY mph DESC"


def demonstrate() -> ExitCode:
    """Run the demonstration in a new folder under the current one; return the exit code."""
    build = import_module(_SAMPLE).build
    folder = _new_folder()
    pipeline: BatchPipeline = build(checkpoint_dir=folder)
    steps = " → ".join(step.name for step in pipeline.steps)
    _tell(
        f"Flights out of New York City in 2013, in batches of {pipeline.batch_size:,} rows: {steps}",
        f"Every finished batch is durable in {safe(str(folder))}.",
        "",
    )
    outcome = drive(pipeline, Style.for_stderr())
    if isinstance(outcome.error, StepFailed):
        _tell(*ending(outcome, folder))
        _tell("", "The frontier, the place from which any later run goes on:", pipeline.get_frontier().to_json(), "")
        _tell(f"Say that the flight may stay: with a limit of {_MENDED_LIMIT_MPH} mph, on from the frontier.", "")
        pipeline = build(limit_mph=_MENDED_LIMIT_MPH, checkpoint_dir=folder)
        outcome = drive(pipeline, Style.for_stderr(), accept_changes=True)
    _tell(*ending(outcome, folder))
    if outcome.exit_code is ExitCode.DONE:
        _show_results(pipeline, folder)
    return outcome.exit_code


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
    _tell("", f"{counted(rows, 'result row')} in {safe(str(folder / 'results'))}, the first of them:")
    _tell(*table_lines(results.select(_COLUMNS).head(5).collect()))
    place = f"--checkpoint-dir {quoted(folder)}"
    _tell(
        "",
        "To try next:",
        f"  batch-pipeline history {place}",
        f'  batch-pipeline results sql "{_QUERY}" {place}',
        f"  batch-pipeline rewind 5 {place}",
        f"  batchpipe-tui {_SAMPLE}:pipeline        the same in the dashboard",
        f"  batch-pipeline run {_SAMPLE}:pipeline   and stop it with Ctrl-C; then again",
    )


def _tell(*lines: str) -> None:
    for line in lines:
        out(line)
    flush_out()
