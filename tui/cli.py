"""The command `batchpipe-tui`: its options, and how the program ends.

Nothing heavy is imported before it is needed: `--help` must be quick, and the first picture must be on the screen
before Polars and DuckDB load.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from engine.text.exit_codes import ExitCode, in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

DESCRIPTION = "A dashboard for batch pipelines that never lose their place."
EPILOG = f"""\
TARGET is file.py, file.py:name or package.module:name; without one, choose from the samples and recent pipelines.
exit status: {in_words(code for code in ExitCode if code is not ExitCode.QUARANTINED)}
Without a terminal (a pipe, CI) the pipeline is run without a screen, as by `batch-pipeline run`.
"""

GRACE_SECONDS = 60.0
"""How long the batches in flight may take after the screen is closed, before they are given up."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        "batchpipe-tui", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("target", nargs="?", metavar="TARGET", help="the pipeline to open")
    made.add_argument("--checkpoint-dir", metavar="D", help="use this checkpoint folder instead of the pipeline's own")
    made.add_argument("--batch-size", metavar="N", type=_positive, help="source rows a batch, instead of its own")
    made.add_argument("--executor", choices=["threads", "ray"], help="where batches run: here, or on a Ray cluster")
    made.add_argument(
        "--ray-address", metavar="A", help="address of the cluster, or auto; without it one is started here"
    )
    made.add_argument("--ascii", action="store_true", help="draw with ASCII characters only")
    made.add_argument("--theme", metavar="NAME", default="", help="batchpipe-dark, batchpipe-light, high-contrast, …")
    made.add_argument("--run", action="store_true", help="start or continue at once")
    return made


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status."""
    options = parser().parse_args(arguments)
    if sys.stdin.isatty() and sys.stdout.isatty():
        sys.exit(_on_screen(options))
    sys.exit(_without_screen(options))


def _on_screen(options: argparse.Namespace) -> int:
    from tui.app import BatchPipeApp
    from tui.backend.target import Overrides
    from tui.look.glyphs import ASCII
    from tui.process.output import own_terminal
    from tui.process.shutdown import farewell, finish_run, say, stopping_on_signals

    # A step in pure Python keeps the interpreter for 5 ms at a time. The screen then waited up to 37 ms, and 9.5 ms
    # with this interval.
    sys.setswitchinterval(0.001)
    app = BatchPipeApp(
        options.target,
        overrides=Overrides(options.checkpoint_dir, options.batch_size, options.executor, options.ray_address),
        glyphs=ASCII if options.ascii else None,
        theme=options.theme,
        begin=options.run,
    )
    with stopping_on_signals(app):
        try:
            with own_terminal(app.printed):
                app.run()
        except OSError:
            # Textual wrote to a terminal that is closed.
            if not app.ended_by_signal:
                raise
        finally:
            finish_run(app, GRACE_SECONDS)
    say(farewell(app))
    return app.status


def _without_screen(options: argparse.Namespace) -> int:
    if options.target is None:
        sys.stderr.write("batchpipe-tui: there is no terminal; name a TARGET to run it without a screen\n")
        return ExitCode.USAGE
    from engine.cli import main as headless

    words = ["run", options.target]
    for name in ("checkpoint_dir", "batch_size", "executor", "ray_address"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return headless(words)
