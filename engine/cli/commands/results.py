"""`batch-pipeline results …`: the committed rows, on stdout or in a file. Works during a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.streams import print_message, print_result
from engine.cli.tables import print_frame
from engine.cli.targets import CheckpointDir, OptionalTarget, open_checkpoint
from engine.errors import CheckpointCorrupt, PipelineError, describe
from engine.text.format import counted
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from engine import CheckpointView

Csv = Annotated[bool, typer.Option("--csv", help="As CSV instead of a table.")]

results = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Read the committed results.",
)


@contextmanager
def _results_of(target: str | None, checkpoint_dir: Path | None) -> Iterator["CheckpointView"]:
    """Give the checkpoint, and turn what Polars and the disk raise in the block into errors of the engine."""
    import polars as pl

    view = open_checkpoint(target, checkpoint_dir)
    try:
        yield view
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, FileNotFoundError) as error:
        raise CheckpointCorrupt(
            view.checkpoint_dir,
            f"the results can't be read: {describe(error)}",
            hint="`batch-pipeline verify` says which part is damaged.",
        ) from error
    except OSError as error:
        raise PipelineError(f"the results can't be read or written: {describe(error)}") from error


@results.command()
def head(
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, metavar="N", help="Number of rows.")] = 10,
    csv: Csv = False,
) -> None:
    """Show the first rows, in source order."""
    with _results_of(target, checkpoint_dir) as view:
        frame = view.scan_results().head(rows).collect()
    if not frame.width:
        print_message("no results yet")
        return
    print_frame(frame, csv=csv)


@results.command()
def count(target: OptionalTarget = None, *, checkpoint_dir: CheckpointDir = None) -> None:
    """Print the number of result rows."""
    import polars as pl

    with _results_of(target, checkpoint_dir) as view:
        print_result(str(view.scan_results().select(pl.len()).collect().item()))


@results.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to: .parquet, .csv, .duckdb or .db.")],
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    table: Annotated[str, typer.Option(metavar="NAME", help="The table's name in a DuckDB file.")] = "results",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file or table.")] = False,
) -> None:
    """Write all results into one file, or into a table of a DuckDB file."""
    with _results_of(target, checkpoint_dir) as view:
        batches = view.export(file, table=table, overwrite=overwrite)
    print_message(f"the results of {counted(batches, 'batch')} are in {safe(str(file))}")


@results.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help='SQL of DuckDB: "SELECT … FROM results".')],
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    rows: Annotated[
        int, typer.Option("--rows", "-n", min=0, metavar="N", help="Maximum number of rows, 0 for all.")
    ] = 100,
    csv: Csv = False,
) -> None:
    """Answer a query over the results, which are the table `results`."""
    with _results_of(target, checkpoint_dir) as view:
        frame = view.query_results(query)
    shown = frame.head(rows) if rows else frame
    print_frame(shown, csv=csv)
    if shown.height < frame.height:
        print_message(f"{shown.height:,} of {counted(frame.height, 'row')}; --rows 0 shows all")
