"""Asking before anything is lost. Without a person to ask, only `--yes` counts."""

from __future__ import annotations

import select
import sys

from engine.cli.streams import say, talk
from engine.errors import UsageError

_LOOK_SECONDS = 0.1


def require_agreement(consequence: str, question: str, *, yes: bool) -> None:
    """Return when the user agrees, or has said so with `--yes`; `consequence` is told in any case.

    Raises:
        UsageError: they don't, or can't be asked.
    """
    say(consequence)
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("this needs a yes, and there is no terminal to ask on", hint="Add --yes if it is meant.")
    try:
        talk(f"{question} [y/N] ")
        answer = _line_of_input()
    except KeyboardInterrupt:
        say("\nnothing was changed")
        raise
    if answer.strip().lower() not in {"y", "yes"}:
        raise UsageError("not agreed: nothing was changed")


def _line_of_input() -> str:
    # The kernel may give a Ctrl-C to a thread of Polars or DuckDB, which leaves a read in this one asleep: so it
    # wakes up by itself.
    while not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        pass
    return sys.stdin.readline()
