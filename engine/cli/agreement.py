"""Asking before anything is lost. Without a person to ask, only `--yes` counts."""

from __future__ import annotations

import sys

from engine.cli.streams import say, talk
from engine.errors import UsageError


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
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        say("\nnothing was changed")
        raise
    if answer.strip().lower() not in {"y", "yes"}:
        raise UsageError("not agreed: nothing was changed")
