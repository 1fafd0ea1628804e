"""The commands and their names.

What they do is in modules of their own; the rest of the engine is loaded only when one of them runs.
"""

import importlib.metadata
from typing import Annotated

import typer

from engine.cli import (
    moving,
    quarantine_commands,
    reading,
    recompute_command,
    results_commands,
    run_command,
    verify_command,
)
from engine.cli.streams import out
from engine.text.exit_codes import ExitCode, in_words

app = typer.Typer(
    name="batch-pipeline",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Exit codes: {in_words()}.",
)
app.command("run")(run_command.run)
app.command("status")(reading.status)
app.command("history")(reading.history)
app.command("failures")(reading.failures)
app.command("reset")(moving.reset)
app.command("rewind")(moving.rewind)
app.command("recompute")(recompute_command.recompute)
app.command("verify")(verify_command.verify)
app.add_typer(results_commands.app, name="results")
app.add_typer(quarantine_commands.app, name="quarantine")


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 (typer calls it so)
    """Print the version."""
    if wanted:
        out(importlib.metadata.version("batchpipe-tui"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version.")
    ] = False,
) -> ExitCode | None:
    """Stream data larger than memory through steps, batch by batch, and never lose the place.

    TARGET is file.py[:name] or package.module:name; name is "pipeline" unless given. Without a command, a
    demonstration runs on sample data.
    """
    if context.invoked_subcommand is not None:
        return None
    from engine.cli.demonstration import demonstrate

    return demonstrate()
