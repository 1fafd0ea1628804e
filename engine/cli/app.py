"""The table of the commands. A new command is one file in `commands`, and one line here."""

import importlib
import importlib.metadata
from typing import Annotated

import typer

from engine.cli.streams import print_result
from engine.text.exit_codes import ExitCode, in_words

# The command, in the order of the help, and the file in `commands` that has it: as a function, or as a group.
COMMANDS = {
    "run": "run",
    "status": "status",
    "history": "history",
    "failures": "history",
    "reset": "rewind",
    "rewind": "rewind",
    "recompute": "verify",
    "verify": "verify",
    "results": "results",
    "quarantine": "quarantine",
}

app = typer.Typer(
    name="batch-pipeline",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Exit codes: {in_words()}.",
)
for _name, _file in COMMANDS.items():
    _command = getattr(importlib.import_module(f"engine.cli.commands.{_file}"), _name)
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command(_name)(_command)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if wanted:
        print_result(importlib.metadata.version("batchpipe-tui"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> ExitCode | None:
    """Stream data larger than memory through steps, batch by batch, and never lose the place.

    TARGET is file.py[:name] or package.module:name; the default name is "pipeline". Without a command, a
    demonstration runs on sample data.
    """
    if context.invoked_subcommand is not None:
        return None
    from engine.cli.commands.demonstration import demonstrate

    return demonstrate()
