"""The edge of the process: errors become sentences and exit codes here, and nowhere else."""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from typer.exceptions import Abort, TyperException

from engine.cli.streams import ReaderGone, flush_out, make_printable, say
from engine.errors import PipelineError, describe
from engine.text.exit_codes import ExitCode
from engine.text.masking import mask_secrets
from engine.text.terminal_safe import safe, safe_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAM = "batch-pipeline"


def run_app(arguments: Sequence[str] | None) -> int:
    """Run the commands; return the exit code. Nothing is raised."""
    from typer.main import get_command

    from engine.cli.app import app

    make_printable()
    try:
        with _logging_in_sentences():
            code = get_command(app).main(args=arguments, prog_name=PROGRAM, standalone_mode=False)
        flush_out()
    except ReaderGone:
        return ExitCode.DONE  # whoever read it has what they wanted
    except PipelineError as error:
        tell(error)
        return error.exit_code
    except TyperException as error:
        _tell_usage(error)
        return ExitCode.USAGE
    except (Abort, KeyboardInterrupt):
        say("interrupted")
        return ExitCode.INTERRUPTED
    except SystemExit:  # completion scripts end with it
        raise
    except BaseException as error:  # noqa: BLE001 (a panic of Polars is no Exception; nothing may pass this edge)
        _tell_defect(error)
        return ExitCode.FAILED
    return code if isinstance(code, int) else ExitCode.DONE


def tell(error: PipelineError) -> None:
    """Say what went wrong and what to do next."""
    lines = safe_lines(str(error))
    say(f"error: {lines[0]}")
    for line in lines[1:]:
        say(line)
    for note in getattr(error, "__notes__", ()):
        say(safe(note))
    if error.hint:
        say(f"hint: {safe(error.hint)}")


def _tell_usage(error: TyperException) -> None:
    context = getattr(error, "ctx", None)
    if context is not None:
        say(context.get_usage())
        say(f"Try '{context.command_path} --help' for help.")
    say(f"error: {safe(error.format_message())}")


def _tell_defect(error: BaseException) -> None:
    for line in safe_lines(mask_secrets("".join(traceback.format_exception(error)))):
        say(line)
    say(f"error: {safe(describe(error))}")
    say(f"hint: This is a defect of {PROGRAM}, or of what is installed around it; the lines above tell where.")


class _Sentences(logging.Handler):
    """What the engine logs, as one line of talk each."""

    def emit(self, record: logging.LogRecord) -> None:
        reason = f": {describe(record.exc_info[1])}" if record.exc_info and record.exc_info[1] else ""
        say(safe(f"{record.levelname.lower()}: {record.getMessage()}{reason}"))


@contextmanager
def _logging_in_sentences() -> Iterator[None]:
    log = logging.getLogger("engine")
    handler = _Sentences(logging.WARNING)
    propagated, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagated
