"""The commands and their names.

What they do is in modules of their own; the rest of the engine is loaded only when one of them runs.
"""

import importlib.metadata
from typing import Annotated

import typer

from engine.cli.commands import quarantine, recompute, results, rewind, run, status, verify
from engine.cli.streams import out
from engine.text.exit_codes import ExitCode, in_words

app = typer.Typer(
    name="batch-pipeline",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Exit codes: {in_words()}.",
)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("history")(status.history)
app.command("failures")(status.failures)
app.command("reset")(rewind.reset)
app.command("rewind")(rewind.rewind)
app.command("recompute")(recompute.recompute)
app.command("verify")(verify.verify)
app.add_typer(results.app, name="results")
app.add_typer(quarantine.app, name="quarantine")


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
    from engine.cli.commands.demonstration import demonstrate

    return demonstrate()
