"""Fixtures for the tests of the app: the real pipeline in a separate folder, and a person who uses the app."""

import asyncio
import inspect
import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.state import RunState
from sample_data import flights
from tui.app import BatchPipeApp
from tui.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: `import views`

PATIENCE_SECONDS = 120.0
SIZES = {"wide": (120, 36), "small": (80, 24)}


@pytest.fixture(autouse=True)
def state_folder(tmp_path, monkeypatch):
    """Separate the settings of the tests from those of the user who runs them."""
    folder = tmp_path / "state"
    monkeypatch.setenv("BATCHPIPE_STATE_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(autouse=True)
def in_utc():
    """Set the time zone, because the screen shows local times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


class PipelineFile:
    """A copy of the sample pipeline that a test may edit: its limit, a step, or any other text."""

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
        # With a coarse clock, the edited file could get the same time as before.
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
    GATE.acquire(timeout=300)
    return frame

pipeline = BatchPipeline(
    [FunctionBatchStep("wait", wait)], NumberSource(100), batch_size=10,
    checkpoint_dir={checkpoint_dir!r}, name="slow", workers=1,
)
"""


@pytest.fixture
def gated(tmp_path, story):
    """Ten batches, each of which waits until the test lets it through: `gate.release()`.

    At the end all batches are released, before the test waits for the threads of the story.
    """
    from engine.loading.target import load

    path = tmp_path / "slow.py"
    path.write_text(SLOW.format(checkpoint_dir=str(tmp_path / "slow")), encoding="utf-8")
    pipeline = load(str(path))
    pipeline.gate = pipeline.steps[0].function.__globals__["GATE"]
    yield pipeline
    pipeline.gate.release(100)


class Person:
    """A user who looks at the app and presses keys."""

    def __init__(self, app, pilot):
        self.app = app
        self.pilot = pilot
        self.press = pilot.press

    @property
    def screen(self):
        return self.app.screen

    @property
    def bridge(self):
        return self.app.bridge

    @property
    def view(self):
        return self.app.bridge.view()

    @property
    def state(self):
        """The state of the run, None while a job is running."""
        return self.view.state if self.bridge.working is None else None

    @property
    def toasts(self):
        return [notification.message for notification in self.app._notifications]

    @property
    def return_code(self):
        return self.app.return_code

    async def until(self, condition, *, told=lambda: ""):
        """Return as soon as the condition is true; fail if that takes too long."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < end, f"it didn't happen in time; {told()}"
            await asyncio.sleep(0.01)

    async def loaded(self):
        await self.until(
            lambda: self.bridge is not None and self.bridge.loaded and self.bridge.working is None,
            told=lambda: f"the bridge is at {self.bridge.working}, its error is {self.bridge.error}",
        )

    async def screen_is(self, kind):
        await self.until(
            lambda: isinstance(self.screen, kind) and self.screen.focused is not None,
            told=lambda: f"the screen is {self.screen}, the focus on {self.screen.focused}",
        )

    async def run_to_failure(self):
        await self.loaded()
        await self.press("r")
        await self.until(lambda: self.state is RunState.FAILED)

    async def quarantine_bad_rows(self):
        await self.run_to_failure()
        await self.press("k")
        await self.until(lambda: self.state is RunState.INCOMPLETE, told=lambda: f"{self.bridge.error}")


@pytest.fixture
def story():
    """Open the app at a pipeline: `async with story(path) as on: await on.press("r")`."""
    apps = []

    @asynccontextmanager
    async def story(target=None, *, size=SIZES["wide"], settings=None, **options):
        arguments = [] if target is None else [str(target)]
        app = BatchPipeApp(*arguments, settings=settings or Settings(), **options)
        apps.append(app)
        async with app.run_test(size=size) as pilot:
            yield Person(app, pilot)

    yield story
    for app in apps:
        if app.bridge is not None:
            app.bridge.close(PATIENCE_SECONDS)  # its threads may still run after the screen has closed


COLLECTED = pytest.StashKey[set[tuple[str, str]]]()
"""The module and the name of each test, including deselected ones."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    config.stash[COLLECTED] = {(item.path.stem, item.name) for item in items}


@pytest.fixture
def collected(request):
    """The module and the name of every test; skips unless whole files were collected."""
    if any("::" in argument for argument in request.config.args):
        pytest.skip("not all tests are collected")
    return request.config.stash[COLLECTED]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run each test that is a coroutine in a new event loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True
