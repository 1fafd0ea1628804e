"""The edge of the process: only here, errors become sentences and exit codes."""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from typer.exceptions import Abort, TyperException

from engine.cli.streams import ReaderGone, flush_results, make_printable, print_message
from engine.errors import PipelineError, describe
from engine.text.exit_codes import ExitCode
from engine.text.masking import mask_secrets
from engine.text.terminal_safe import safe, safe_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAM = "batch-pipeline"


def run_app(arguments: Sequence[str] | None) -> int:
    """Run the commands; return the exit code. Raises nothing but the `SystemExit` of completion scripts."""
    from typer.main import get_command

    from engine.cli.app import app

    make_printable()
    try:
        with _log_as_messages():
            code = get_command(app).main(args=arguments, prog_name=PROGRAM, standalone_mode=False)
        flush_results()
    except ReaderGone:
        return ExitCode.DONE  # the reader has seen enough
    except PipelineError as error:
        _print_error(error)
        return error.exit_code
    except TyperException as error:
        _print_usage(error)
        return ExitCode.USAGE
    except (Abort, KeyboardInterrupt):
        print_message("interrupted")
        return ExitCode.INTERRUPTED
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 (a panic of Polars is no Exception; nothing may pass this edge)
        _print_defect(error)
        return ExitCode.FAILED
    return code if isinstance(code, int) else ExitCode.DONE


def _print_error(error: PipelineError) -> None:
    first, *rest = safe_lines(str(error))
    print_message(f"error: {first}", *rest, *map(safe, getattr(error, "__notes__", ())))
    if error.hint:
        print_message(f"hint: {safe(error.hint)}")


def _print_usage(error: TyperException) -> None:
    context = getattr(error, "ctx", None)
    if context is not None:
        print_message(context.get_usage(), f"Try '{context.command_path} --help' for help.")
    print_message(f"error: {safe(error.format_message())}")


def _print_defect(error: BaseException) -> None:
    print_message(
        *safe_lines(mask_secrets("".join(traceback.format_exception(error)))),
        f"error: {safe(describe(error))}",
        f"hint: This is a defect of {PROGRAM} or of a library that it uses; the traceback above shows where.",
    )


class _LogMessages(logging.Handler):
    """Prints what the engine logs, one line for each record."""

    def emit(self, record: logging.LogRecord) -> None:
        reason = f": {describe(record.exc_info[1])}" if record.exc_info and record.exc_info[1] else ""
        print_message(safe(f"{record.levelname.lower()}: {record.getMessage()}{reason}"))


@contextmanager
def _log_as_messages() -> Iterator[None]:
    log = logging.getLogger("engine")
    handler = _LogMessages(logging.WARNING)
    propagated, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagated
