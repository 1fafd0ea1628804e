"""`batch-pipeline results …`: the committed rows, on stdout or into a file. Works while a run goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.streams import out, say
from engine.cli.tables import write_frame
from engine.cli.targets import CheckpointDir, OptionalTarget, Place, place
from engine.errors import CheckpointCorrupt, PipelineError, describe
from engine.text.format import counted
from engine.text.terminal_safe import safe

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Read the committed results.",
)


@contextmanager
def _readable(where: Place) -> Iterator[None]:
    """Tell what Polars and the disk raise in the block as what it means."""
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, FileNotFoundError) as error:
        raise CheckpointCorrupt(
            where.checkpoint.layout.results,
            f"the results can't be read: {describe(error)}",
            hint="`batch-pipeline verify` tells which part is damaged.",
        ) from error
    except OSError as error:
        raise PipelineError(f"the results can't be read or written: {describe(error)}") from error


Csv = Annotated[bool, typer.Option("--csv", help="As CSV instead of a table.")]


@app.command()
def head(
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, metavar="N", help="How many rows.")] = 10,
    csv: Csv = False,
) -> None:
    """Show the first rows, in source order."""
    from engine.results import read

    where = place(target, checkpoint_dir)
    with _readable(where):
        frame = read.scan(where.checkpoint.committed_parts()).head(rows).collect()
    if not frame.width:
        say("no results yet")
        return
    write_frame(frame, csv=csv)


@app.command()
def count(target: OptionalTarget = None, *, checkpoint_dir: CheckpointDir = None) -> None:
    """Print the number of result rows."""
    import polars as pl

    from engine.results import read

    where = place(target, checkpoint_dir)
    with _readable(where):
        parts = where.checkpoint.committed_parts()
        number = read.scan(parts).select(pl.len()).collect().item() if parts else 0
    out(str(number))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to: .parquet, .csv, .duckdb or .db.")],
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    table: Annotated[str, typer.Option(metavar="NAME", help="The table's name in a DuckDB file.")] = "results",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file or table that is there.")] = False,
) -> None:
    """Write all results into one file, or into a table of a DuckDB file."""
    from engine.results import read

    where = place(target, checkpoint_dir)
    with _readable(where):
        parts = where.checkpoint.committed_parts()
        read.export(parts, file, folder=where.checkpoint.folder, table=table, overwrite=overwrite)
    say(f"the results of {counted(len(parts), 'batch')} are in {safe(str(file))}")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help='SQL of DuckDB: "SELECT … FROM results".')],
    target: OptionalTarget = None,
    *,
    checkpoint_dir: CheckpointDir = None,
    rows: Annotated[int, typer.Option("--rows", "-n", min=0, metavar="N", help="At most so many, 0 for all.")] = 100,
    csv: Csv = False,
) -> None:
    """Answer a query over the results, the table `results`."""
    from engine.results import read

    where = place(target, checkpoint_dir)
    with _readable(where):
        frame = read.query(where.checkpoint.committed_parts(), query)
    shown = frame.head(rows) if rows else frame
    write_frame(shown, csv=csv)
    if shown.height < frame.height:
        say(f"{shown.height:,} of {counted(frame.height, 'row')}; --rows 0 shows all")
