"""Starts Python scripts in processes that are forked from one that has imported the engine.

A thousand children are killed in one run of the tests, and a new interpreter takes a third of a second to import the
engine. Such a child has its own address space and dies by SIGKILL like any other. Use `subprocess` for what must act
before the imports: strace, a preloaded library, a limit.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from leftovers import lives_on

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection

PATIENCE_SECONDS = 300
IMPORTED = ("kill_points", "engine.cli", "engine.pipeline", "engine.results.view", "duckdb")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(IMPORTED))


class WarmProcess:
    """A running script, whose standard output and standard error go to one pipe."""

    def __init__(self, script: Path, *arguments: object, environment: Mapping[str, str]) -> None:
        self._read_end, write_end = _context.Pipe(duplex=False)
        self.stdout = open(self._read_end.fileno(), encoding="utf-8", closefd=False)  # noqa: SIM115 (until the end)
        words = [str(script), *map(str, arguments)]
        with lives_on():  # the process to fork from, and the tracker that multiprocessing starts with it
            self._process = _context.Process(target=_run, args=(words, dict(environment), str(Path.cwd()), write_end))
            self._process.start()
        write_end.close()

    def communicate(self) -> tuple[int, str]:
        """Wait for the end. Return the exit code, or minus the number of the signal, and the output not read before."""
        talk = self.stdout.read()
        self.stdout.close()
        self._read_end.close()
        self._process.join(PATIENCE_SECONDS)
        code = self._process.exitcode
        assert code is not None, f"the process didn't end\n{talk}"
        return code, talk

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()


def _run(words: list[str], environment: dict[str, str], folder: str, output: Connection) -> None:
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (until the end)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    broken, breaks = os.environ.get("ENGINE_MUTATION", ""), environment.get("ENGINE_MUTATION", "")
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).parent))
    if breaks != broken:  # a new interpreter would do it at its start
        importlib.import_module("mutations").MUTATIONS[breaks]()
    runpy.run_path(words[0], run_name="__main__")
