"""What the tests of the app share: the real pipeline in a folder of its own, and waiting for what should happen."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from sample_data import flights
from tui.app import BatchPipeApp
from tui.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: `import views`

PATIENCE_SECONDS = 20.0
SIZES = {"wide": (120, 36), "small": (80, 24)}


@pytest.fixture(autouse=True)
def state_folder(tmp_path, monkeypatch):
    """Keep the settings of whoever runs the tests out of them, and theirs out of the tests."""
    folder = tmp_path / "state"
    monkeypatch.setenv("BATCHPIPE_STATE_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(autouse=True)
def in_utc():
    """Times on the screen are local: make them the same on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


class PipelineFile:
    """A copy of the sample pipeline that a test may edit: its limit, a step, whatever is in there."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "flights.py"
        self.checkpoint_dir = folder / "checkpoints"
        text = Path(flights.__file__).read_text(encoding="utf-8")
        text = text.replace('Path(__file__).with_name("flights.parquet")', f"Path({str(flights.FLIGHTS)!r})")
        text = text.replace('"checkpoints/flights"', repr(str(self.checkpoint_dir)))
        self.path.write_text(text, encoding="utf-8")

    def edit(self, before: str, after: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        assert before in text
        self.path.write_text(text.replace(before, after), encoding="utf-8")
        # A clock of coarse ticks may give an edit the time of the file before it.
        now = time.time_ns() + 1_000_000_000
        os.utime(self.path, ns=(now, now))

    def raise_limit(self) -> None:
        self.edit("LIMIT_MPH = 700", "LIMIT_MPH = 800")


@pytest.fixture
def flights_file(tmp_path):
    return PipelineFile(tmp_path)


SLOW = """
import threading
from engine import BatchPipeline, FunctionBatchStep
from engine.testing import NumberSource

GATE = threading.Semaphore(0)

def wait(frame):
    GATE.acquire(timeout=20)
    return frame

pipeline = BatchPipeline(
    [FunctionBatchStep("wait", wait)], NumberSource(100), batch_size=10,
    checkpoint_dir={checkpoint_dir!r}, name="slow", workers=1,
)
"""


@pytest.fixture
def gated(tmp_path):
    """Ten batches, each of which waits until the test lets it through: `gate.release()`."""
    from engine.loading.target import load

    path = tmp_path / "slow.py"
    path.write_text(SLOW.format(checkpoint_dir=str(tmp_path / "slow")), encoding="utf-8")
    pipeline = load(str(path))
    pipeline.gate = pipeline.steps[0].function.__globals__["GATE"]
    yield pipeline
    pipeline.gate.release(100)


@pytest.fixture
def app_for():
    """Make an app with settings of its own."""

    def make(*arguments, **changes):
        return BatchPipeApp(*arguments, settings=changes.pop("settings", Settings()), **changes)

    return make


async def until(condition, *, seconds: float = PATIENCE_SECONDS, told=lambda: "") -> None:
    """Return as soon as the condition holds; fail when it doesn't in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it didn't happen in time; {told()}"
        await asyncio.sleep(0.01)


@pytest.fixture(name="until")
def until_fixture():
    return until
