"""Run the real command on a checkpoint while something goes wrong, and check its output and the remaining files."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fault_target
import kill_checks
import polars as pl

from engine.cli import main as run_app
from engine.events import BatchCommitted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HERE = Path(__file__).parent
TARGET = HERE / "fault_target.py"
PATIENCE_SECONDS = 300
CHECKPOINT_ERROR = 3


@dataclass(frozen=True)
class Ended:
    """How a command ended. If a signal killed it, the code is minus the number of the signal."""

    code: int
    stdout: str
    stderr: str

    @property
    def talk(self) -> str:
        return f"exit code {self.code}\n{self.stdout}{self.stderr}"


def start(
    *arguments: str | os.PathLike[str],
    environment: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    in_child: Callable[[], None] | None = None,
) -> subprocess.Popen[str]:
    """Start the command. `before` is a command that starts it, such as strace; `in_child` is called before that."""
    return spawn(
        [*before, sys.executable, HERE / "fault_launcher.py", *arguments], environment=environment, in_child=in_child
    )


def spawn(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    environment: Mapping[str, str] | None = None,
    in_child: Callable[[], None] | None = None,
) -> subprocess.Popen[str]:
    """Start a process whose output `ended` returns."""
    return subprocess.Popen(
        arguments,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=in_child,  # noqa: PLW1509 (nothing runs beside it in the process of the tests)
        text=True,
    )


def ended(child: subprocess.Popen[str]) -> Ended:
    """Wait for the end of the command."""
    stdout, stderr = child.communicate(timeout=PATIENCE_SECONDS)
    return Ended(child.returncode, stdout, stderr)


def run(
    folder: Path,
    *options: str,
    target: str | Path = TARGET,
    environment: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    in_child: Callable[[], None] | None = None,
) -> Ended:
    """Run the pipeline of `fault_target` on the checkpoint in `folder`."""
    return ended(
        start(
            "run",
            target,
            *options,
            "--checkpoint-dir",
            folder,
            environment=environment,
            before=before,
            in_child=in_child,
        )
    )


def here(*arguments: str | os.PathLike[str]) -> Ended:
    """Run a command in this process, which is faster. Only if another process has opened the damaged files before."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.redirect_stderr(io.StringIO()) as stderr:
        code = run_app([os.fspath(argument) for argument in arguments])
    return Ended(code, stdout.getvalue(), stderr.getvalue())


def verify(folder: Path, *options: str) -> Ended:
    """Run `batch-pipeline verify`."""
    return here("verify", *options, "--checkpoint-dir", folder)


def assert_sound(folder: Path) -> None:
    """Check that `verify` finds no fault."""
    end = verify(folder)
    assert end.code == 0, end.talk


def assert_told(end: Ended, *words: str, code: int = CHECKPOINT_ERROR) -> None:
    """Check that the command ended with an error for users: a sentence, a hint, and no traceback."""
    assert end.code == code, end.talk
    assert "Traceback" not in end.stderr, end.talk
    assert "error: " in end.stderr or "failed: " in end.stderr, end.talk
    assert "hint: " in end.stderr, end.talk
    assert "This is a defect" not in end.stderr, end.talk
    for word in words:
        assert word in end.stderr, end.talk


def assert_resumes(folder: Path) -> int:
    """Check that the files keep the promises, and that a resume has the results of an uninterrupted run.

    Returns how many batches were already committed: the resume computed exactly the other ones.
    """
    found = kill_checks.check(folder, fault_target.expected())
    pipeline = fault_target.pipeline(folder)
    done: list[int] = []
    pipeline.add_listener(lambda event: done.append(event.batch_id) if isinstance(event, BatchCommitted) else None)
    frontier = pipeline.run()
    assert done == list(range(found.next_batch_id, fault_target.BATCHES))
    assert frontier.next_batch_id == fault_target.BATCHES
    assert_finished(folder)
    return found.next_batch_id


def assert_finished(folder: Path, *, aside: Sequence[str] = ()) -> None:
    """Check that the run is finished and no other files are left, except names that contain one of `aside`."""
    found = kill_checks.check(folder, fault_target.expected())
    assert found == kill_checks.Found(fault_target.BATCHES, fault_target.BATCHES)
    parts = sorted(part for part in (folder / "results").iterdir() if not any(word in part.name for word in aside))
    assert len(parts) == fault_target.BATCHES, f"something is left behind: {parts}"
    assert pl.concat(pl.read_parquet(part) for part in parts).equals(fault_target.expected())
    known = ("checkpoint.duckdb", "checkpoint.duckdb.wal", "checkpoint.lock", "frontier.json", "results")
    names = [entry.name for entry in folder.iterdir()]
    others = [name for name in names if not any(word in name for word in aside)]
    assert set(others) <= set(known), f"something is left behind: {others}"


def injected(shim: Path, folder: Path, kind: str, call: int, log: Path, *, name: str = "") -> dict[str, str]:
    """Return the environment that makes the fault happen; see `shim.c`."""
    return {
        "LD_PRELOAD": str(shim),
        "FAULT_FOLDER": str(folder),
        "FAULT_NAME": name,
        "FAULT_KIND": kind,
        "FAULT_CALL": str(call),
        "FAULT_LOG": str(log),
    }


def calls(log: Path) -> list[str]:
    """Return the calls that the shim counted, in order, as "call name"."""
    return [line.split(" ", 1)[1] for line in log.read_text().splitlines()] if log.exists() else []
