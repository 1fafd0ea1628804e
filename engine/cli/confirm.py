"""The question before something is lost. Without a person to ask, only `--yes` confirms."""

from __future__ import annotations

import select
import sys
from typing import Annotated

import typer

from engine.cli.streams import print_message, write_message
from engine.errors import UsageError

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Confirm in advance: don't ask.")]

_POLL_SECONDS = 0.1


def confirm(consequence: str, question: str, *, yes: bool) -> None:
    """Print `consequence`, and return if the user confirms it, now or with `--yes`.

    Raises:
        UsageError: they don't, or can't be asked.
    """
    print_message(consequence)
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "this needs a confirmation, and there is no terminal to ask on", hint="Add --yes to confirm it."
        )
    try:
        write_message(f"{question} [y/N] ")
        answer = _read_line()
    except KeyboardInterrupt:
        print_message("\nnothing was changed")
        raise
    if answer.strip().lower() not in {"y", "yes"}:
        raise UsageError("not confirmed: nothing was changed")


def _read_line() -> str:
    # The kernel may deliver a Ctrl-C to a thread of Polars or DuckDB. A blocking read in this thread would not wake
    # up from it, so the read is only started when there is input.
    while not select.select([sys.stdin], [], [], _POLL_SECONDS)[0]:
        pass
    return sys.stdin.readline()
