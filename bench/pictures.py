"""Make the pictures of the README: the real app on the sample data, without a terminal.

    python -m bench.pictures docs/pictures

The numbers in the pictures depend on the machine.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

from engine.state import RunState
from tui.app import BatchPipeApp
from tui.backend.target import Overrides
from tui.screens.dialogs.confirm import ChangedScreen
from tui.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

WIDE = (120, 36)
SMALL = (80, 24)
PATIENCE_SECONDS = 60.0
_TWO_THIRDS = 45

_DELAYS = """
import os
import signal
import time
from pathlib import Path

import polars as pl

from engine import BatchPipeline, FunctionBatchStep, ParquetFetcher, WithColumnsBatchStep
from sample_data.flights import FLIGHTS

KILLED = Path("killed").absolute()


def score(frame):
    time.sleep(0.15)  # a model would take its time
    if frame["month"][0] == 3 and not KILLED.exists():
        KILLED.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return frame.with_columns(late=pl.col("arr_delay") > 15)


pipeline = BatchPipeline(
    [
        WithColumnsBatchStep("add_speed", mph=pl.col("distance") / pl.col("air_time") * 60),
        FunctionBatchStep("score", score, concurrent=True),
    ],
    ParquetFetcher(FLIGHTS),
    batch_size=5_000,
    checkpoint_dir="delays",
)
"""


def main() -> None:
    """Write all pictures into the folder in the arguments."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_opening(folder))
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
        asyncio.run(_story(folder, Path(scratch), WIDE, ""))
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
        asyncio.run(_story(folder, Path(scratch), SMALL, "-80x24"))
    for size, suffix in ((WIDE, ""), (SMALL, "-80x24")):
        with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
            asyncio.run(_quarantine(folder, Path(scratch), size, suffix))
        with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
            asyncio.run(_cluster(folder, Path(scratch), size, suffix))


async def _opening(folder: Path) -> None:
    app = BatchPipeApp(settings=Settings())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        _save(app, folder / "opening.svg")


async def _story(folder: Path, scratch: Path, size: tuple[int, int], suffix: str) -> None:
    """Run to the real failure, correct the limit in a copy of the file, and run to the end."""
    file = _copy_of_sample(scratch)
    app = BatchPipeApp(str(file), settings=Settings())
    async with app.run_test(size=size) as pilot:
        await _until(pilot, lambda: _rests(app) is RunState.IDLE)
        _save(app, folder / f"idle{suffix}.svg")
        await pilot.press("r", "5")
        await _until(pilot, lambda: _rests(app) is RunState.FAILED)
        _save(app, folder / f"failed{suffix}.svg")
        await pilot.press("question_mark")
        await pilot.pause()
        _save(app, folder / f"help{suffix}.svg")
        await pilot.press("escape")
        file.write_text(file.read_text(encoding="utf-8").replace("LIMIT_MPH = 700", "LIMIT_MPH = 1_000"), "utf-8")
        await pilot.press("r")
        await _until(pilot, lambda: isinstance(app.screen, ChangedScreen))
        _save(app, folder / f"changed{suffix}.svg")
        await pilot.press("right", "enter")
        await _until(pilot, lambda: _rests(app) is RunState.FINISHED)
        await pilot.press("7")
        await _until(pilot, lambda: "time_hour" in getattr(app.screen.query_one("#results"), "shown_text", ""))
        _save(app, folder / f"finished{suffix}.svg")


async def _quarantine(folder: Path, scratch: Path, size: tuple[int, int], suffix: str) -> None:
    """Put the bad row into quarantine, run to the end, and show the row."""
    app = BatchPipeApp(str(_copy_of_sample(scratch)), settings=Settings())
    async with app.run_test(size=size) as pilot:
        await _until(pilot, lambda: _rests(app) is RunState.IDLE)
        await pilot.press("r")
        await _until(pilot, lambda: _rests(app) is RunState.FAILED)
        await pilot.press("k")
        await _until(pilot, lambda: _rests(app) is RunState.INCOMPLETE)
        await pilot.press("6")
        await _until(pilot, lambda: "216,447" in getattr(app.screen.query_one("#quarantine"), "shown_text", ""))
        _save(app, folder / f"quarantine{suffix}.svg")


async def _cluster(folder: Path, scratch: Path, size: tuple[int, int], suffix: str) -> None:
    """Run the source of the sample on a local cluster, and kill a worker."""
    file = scratch / "delays.py"
    file.write_text(_DELAYS, encoding="utf-8")
    app = BatchPipeApp(str(file), overrides=Overrides(executor="ray"), settings=Settings())
    async with app.run_test(size=size) as pilot:
        await _until(pilot, lambda: _rests(app) is RunState.IDLE)
        await pilot.press("r", "2")
        await _until(pilot, lambda: (bridge := app.bridge) is not None and bridge.view().frontier >= _TWO_THIRDS)
        _save(app, folder / f"cluster{suffix}.svg")
        await _until(pilot, lambda: _rests(app) is RunState.FINISHED)


def _copy_of_sample(scratch: Path) -> Path:
    from sample_data import flights

    text = Path(str(flights.__file__)).read_text(encoding="utf-8")
    file = scratch / "flights.py"
    text = text.replace('Path(__file__).with_name("flights.parquet")', f"Path({str(flights.FLIGHTS)!r})")
    file.write_text(text, encoding="utf-8")
    return file


def _rests(app: BatchPipeApp) -> RunState | None:
    bridge = app.bridge
    return bridge.view().state if bridge is not None and bridge.loaded and bridge.working is None else None


async def _until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        await pilot.pause(0.05)
    # One more update, so that the panes show the state that was waited for.
    await pilot.pause(0.3)


def _save(app: BatchPipeApp, path: Path) -> None:
    path.write_text(app.export_screenshot(), encoding="utf-8")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
