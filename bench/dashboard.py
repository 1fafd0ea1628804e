"""The cost of the dashboard: a run with and without it, the lag of its event loop, and the CPU time to the first paint.

Each measurement is a process of its own. One with a dashboard gets a real pseudo-terminal of 120×36, whose output is
read as fast as it arrives. The run processes ten times lineitem in batches of 100,000; runs with and without dashboard
take turns. The time to the first paint is the CPU time (user and system) that the process has used when the border of
the first pane arrives from the terminal.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import Any, Self

from bench import lineitem, machine, table

ROWS, COLUMNS = 36, 120
FIRST_FRAME = b"1 Steps"


def report(*, rounds: int) -> None:
    """Measure, and print three tables."""
    print(machine.describe())
    print()
    lineitem.tenfold()
    seconds: dict[str, list[float]] = {"headless": [], "dashboard": []}
    for _ in range(rounds):
        for kind, values in seconds.items():
            values.append(_figures(kind)["seconds"])
    pairs = zip(seconds["dashboard"], seconds["headless"], strict=True)
    ratios = [with_it / without for with_it, without in pairs]
    lines = [[kind, table.spread(values)] for kind, values in seconds.items()]
    print(table.render(["60M rows, wall seconds", f"median of {rounds}"], [*lines, ["ratio", table.spread(ratios, 3)]]))
    print()
    lag = _figures("lag")
    names = ("p50", "p99", "max")
    print(
        table.render(
            ["lag of the event loop at 100,000 batches", "batches/s", *(f"{name} ms" for name in names)],
            [["events from a thread", f"{lag['batches_per_second']:,.0f}", *(f"{lag[n] * 1e3:.1f}" for n in names)]],
        )
    )
    print()
    paints = [_cpu_to_first_paint() for _ in range(rounds)]
    print(
        table.render(
            ["CPU seconds to the first paint", f"median of {rounds}"], [["batchpipe-tui", table.spread(paints)]]
        )
    )


def _figures(kind: str) -> dict[str, Any]:
    """Return the figures of a child process of this kind."""
    with tempfile.TemporaryDirectory(dir=lineitem.cache_folder()) as scratch:
        answer = Path(scratch) / "answer.json"
        command = [sys.executable, "-m", "bench.dashboard_child", kind, str(Path(scratch) / "checkpoint"), str(answer)]
        with _Terminal(command) as terminal:
            terminal.read_until(None)
        return dict(json.loads(answer.read_text(encoding="utf-8")))


def _cpu_to_first_paint() -> float:
    script = shutil.which("batchpipe-tui", path=str(Path(sys.executable).parent))
    if script is None:
        raise SystemExit("batchpipe-tui is not installed beside this Python")
    with tempfile.TemporaryDirectory() as scratch:
        command = [script, "sample_data.flights:pipeline", "--checkpoint-dir", str(Path(scratch) / "checkpoint")]
        with _Terminal(command) as terminal:
            terminal.read_until(FIRST_FRAME)
            return terminal.cpu_seconds()


class _Terminal:
    """A process on a pseudo-terminal of its own, killed at the end of the block."""

    def __init__(self, command: list[str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "BATCHPIPE_STATE_DIR": tempfile.gettempdir()}
        self._process = subprocess.Popen(  # noqa: S603 (this interpreter, or its own script)
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            cwd=Path(__file__).parent.parent,
            env=environment,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def read_until(self, text: bytes | None) -> None:
        """Read the output until it contains `text`; None reads until the process ends."""
        seen = b""
        while text is None or text not in seen:
            try:
                piece = os.read(self._ours, 65_536)
            except OSError:  # on Linux, the other end was closed
                return
            if not piece:
                return
            seen = seen[-4096:] + piece

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
