"""The real command in a pseudo-terminal, for tests that need a whole process."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

# The terminal becomes the controlling terminal of the child: closing it sends SIGHUP, like closing a window.
_START = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from tui.cli import main; main()"
PATIENCE_SECONDS = 300.0
_ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][AB0]|\x1b[=>78]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


class TerminalProcess:
    """`batchpipe-tui` with its terminal. `written` is its whole output. Use it as a context manager."""

    def __init__(self, *arguments, size=(120, 36), cwd=None, environment=None):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        # The terminal has a size of its own. pytest-xdist gives its workers these two, and they would count for more.
        inherited = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, arguments)],
            stdin=slave, stdout=slave, stderr=slave, cwd=cwd, start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})},
        )  # fmt: skip
        os.close(slave)
        self.written = b""
        self.is_open = True

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.close_terminal()

    @property
    def text(self) -> str:
        """The output without the escape sequences."""
        return _ESCAPES.sub(b"", self.written).decode("utf-8", "replace")

    def read(self, seconds: float = 0.05) -> None:
        """Read the output that has arrived."""
        if self.is_open and select.select([self.master], [], [], seconds)[0]:
            try:
                self.written += os.read(self.master, 1 << 16)
            except OSError:  # the other end is closed
                self.close_terminal()

    def until(self, condition):
        """Read until the condition is true."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < end, (
                f"not in time; ended: {self.process.poll()}, open: {self.is_open}, screen: {self.text[-2000:]}"
            )
            self.read()

    def until_text(self, text):
        self.until(lambda: text in self.text)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def close_terminal(self) -> None:
        """Close the terminal: the kernel sends SIGHUP to the process."""
        if self.is_open:
            self.is_open = False
            os.close(self.master)

    def exit_code(self) -> int:
        """Wait for the end; keep reading, because a full terminal would block the process."""
        self.until(lambda: self.process.poll() is not None)
        return self.process.returncode

    def is_suspended(self) -> bool:
        """Return whether the process is stopped, for example by Ctrl+Z."""
        return self._stat()[0] == "T"

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used so far, user and system."""
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _stat(self) -> list[str]:
        return Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
