from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import pytest

from engine.cli import main

COMMAND = (sys.executable, "-m", "engine.cli")
PATIENCE_SECONDS = 300

# Thirty rows in batches of ten; row 25 is wrong until the limit is raised.
TENS = """
import polars as pl
from engine import BatchPipeline, CheckBatchStep, DropNullsBatchStep
from engine.testing import SeekableNumbers

LIMIT = 100

pipeline = BatchPipeline(
    [DropNullsBatchStep("drop"), CheckBatchStep("small", pl.col("id") < LIMIT, message=f"id < {LIMIT}")],
    SeekableNumbers(30),
    10,
    "cp",
    name="tens",
)
"""

# Each batch reads one byte from the gate before it continues.
GATED = """
import os
from engine import BatchPipeline, FunctionBatchStep
from engine.testing import SeekableNumbers

gate = os.open("gate", os.O_RDWR)

def wait(frame):
    os.read(gate, 1)
    return frame

pipeline = BatchPipeline([FunctionBatchStep("wait", wait)], SeekableNumbers(50), 10, "cp", workers=1)
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder as the current one; imports from it are undone at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def write(workplace):
    def write(name, text):
        (workplace / name).write_text(textwrap.dedent(text), encoding="utf-8")

    return write


@pytest.fixture
def command(workplace, capsys):
    """Runs the command line in this process."""

    def command(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return command


@pytest.fixture
def tens_text():
    return TENS


@pytest.fixture
def tens(write):
    write("tens.py", TENS)
    return "tens.py"


@pytest.fixture
def failing(write):
    """The same, but it fails at batch 2: row 25 isn't below 25."""
    write("tens.py", TENS.replace("LIMIT = 100", "LIMIT = 25"))
    return "tens.py"


class Gated:
    """The real command with a pipeline whose batches wait until the test releases them."""

    def __init__(self, folder, start):
        self.folder = folder
        os.mkfifo(folder / "gate")
        self._gate = os.open(folder / "gate", os.O_RDWR)
        (folder / "gated.py").write_text(GATED, encoding="utf-8")
        self._start = start
        self.process = None

    def run(self, *arguments, **options):
        self.process = self._start("run", "gated.py", *arguments, **options)
        return self.process

    def let_through(self, batches):
        os.write(self._gate, b"." * batches)

    def wait_for(self, kind, **fields):
        """Read events until this one arrives."""
        for line in self.process.stdout:
            event = json.loads(line)
            if event["type"] == kind and all(event[name] == value for name, value in fields.items()):
                return event
        raise AssertionError(f"the command ended without {kind} {fields}: {self.process.stderr.read()}")

    def end(self):
        """Wait for the end; return the exit code and the text on stderr."""
        _, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, err

    def close(self):
        os.close(self._gate)


@pytest.fixture
def start(workplace):
    """Starts the real command as a separate process; it is killed if it still runs at the end."""
    processes = []

    def start(*arguments, **options):
        defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([*COMMAND, *arguments], cwd=workplace, **(defaults | options))
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def gated(workplace, start):
    gated = Gated(workplace, start)
    yield gated
    gated.close()
