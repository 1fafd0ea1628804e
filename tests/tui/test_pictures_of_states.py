"""Snapshots of what every state looks like: from injected views and a fixed clock."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import views
from fake_bridge import FakeBridge
from textual.widgets import Input

from tui.app import BatchPipeApp
from tui.backend.jobs import ErrorReport, Job, JobResult
from tui.backend.run_log import RunLog
from tui.look.glyphs import ASCII, UNICODE
from tui.screens.dashboard.dashboard import Dashboard
from tui.screens.dialogs.ask import RewindScreen
from tui.screens.dialogs.confirm import ChangedScreen, ConfirmScreen, QuitScreen
from tui.screens.opening import OpeningScreen
from tui.settings import Recent, Settings

pytestmark = pytest.mark.integration

SIZES = {"wide": (120, 36), "small": (80, 24), "tiny": (60, 20)}
STATES = {
    "idle": views.idle,
    "resumable": views.resumable,
    "running": views.running,
    "stopping": views.stopping,
    "failed": views.failed,
    "finished": views.finished,
    "incomplete": views.incomplete,
}


@pytest.fixture(autouse=True)
def steady_memory(monkeypatch):
    monkeypatch.setattr("tui.screens.dashboard.dashboard.resident_bytes", lambda: 412_000_000)


def app(view, **changes):
    bridge_changes = {name: changes.pop(name) for name in ("working", "error", "loaded") if name in changes}
    runs = views.runs() if view.info.pipeline == "lineitem" else ()
    bridge = FakeBridge(view, runs, **bridge_changes)
    bridge.log = RunLog(now=lambda: views.NOW)
    bridge.log.write(f"run {view.run_id} started at batch 2,100")
    return BatchPipeApp(bridge=bridge, settings=Settings(), now=lambda: views.NOW, **changes)


def shot(snap_compare, what, *, size="wide", keys=(), prepare=None):
    async def before(pilot):
        if prepare is not None:
            await pilot.pause()
            prepare(pilot.app)
            await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        for line in pilot.app.screen.query(Input):
            line.cursor_blink = False  # or the picture would depend on how long it takes
        if isinstance(pilot.app.screen, Dashboard):
            # What a pane is when it was first drawn is seen by the next pull.
            pilot.app.screen.pull()
            await pilot.pause()

    assert snap_compare(what, terminal_size=SIZES[size], run_before=before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
def test_state(state, size, snap_compare):
    shot(snap_compare, app(STATES[state]()), size=size)


@pytest.mark.parametrize("theme", ["batchpipe-light", "high-contrast", "ansi-dark"])
def test_theme(theme, snap_compare):
    shot(snap_compare, app(views.failed(), theme=theme))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", ["running", "failed", "incomplete"])
def test_ascii(state, size, snap_compare):
    shot(snap_compare, app(STATES[state](), glyphs=ASCII), size=size)


@pytest.mark.parametrize("size", ["wide", "small"])
def test_help(size, snap_compare):
    shot(snap_compare, app(views.failed()), size=size, keys=["question_mark"])


def test_palette(snap_compare):
    shot(snap_compare, app(views.failed()), keys=["ctrl+p"])


@pytest.mark.parametrize("size", ["wide", "small"])
def test_confirm(size, snap_compare):
    lines = ["This drops 21 batches, 210,000 source rows and the 204,000 result rows made of them."]
    dialog = ConfirmScreen("Reset to the very start?", lines, verb="Drop everything")
    shot(snap_compare, app(views.failed()), size=size, prepare=lambda it: it.push_screen(dialog))


def test_rewind(snap_compare):
    shot(snap_compare, app(views.failed()), prepare=lambda it: it.push_screen(RewindScreen(views.failed(), 9)))


def test_quit(snap_compare):
    shot(snap_compare, app(views.running()), prepare=lambda it: it.push_screen(QuitScreen(3)))


def test_changed(snap_compare):
    error = ErrorReport(
        "PipelineChanged", "the pipeline is not the one of this checkpoint",
        differences=("step 'check_speed': condition is speed_mph <= 800, was speed_mph <= 700", "step 'keep' is new"),
    )  # fmt: skip
    dialog = ChangedScreen(error, committed="Batches up to 20 were made by the pipeline")
    shot(snap_compare, app(views.failed(), error=error), prepare=lambda it: it.push_screen(dialog))


@pytest.mark.parametrize("size", ["wide", "small"])
def test_loading(size, snap_compare):
    info = replace(views.idle().info, pipeline="flights.py", source_rows=None)
    view = replace(views.idle(), info=info, steps=(), total_batches=None, fraction=None)
    shot(snap_compare, app(view, working=Job.LOAD, loaded=False), size=size)


def test_locked_by_another_process(snap_compare):
    error = ErrorReport(
        "CheckpointLocked", "the checkpoint checkpoints/flights is in use by process 4711 on worker-1",
        hint="Wait for that run, or stop it; `batch-pipeline status` shows where it stands.", exit_code=3,
    )  # fmt: skip
    shot(snap_compare, app(views.resumable(), error=error))


@pytest.mark.parametrize("size", ["wide", "small"])
def test_hostile_text(size, snap_compare):
    shot(snap_compare, app(views.hostile()), size=size)


@pytest.mark.parametrize("pane", ["2", "4", "8"])
def test_tab_on_a_small_screen(pane, snap_compare):
    shot(snap_compare, app(views.running()), size="small", keys=[pane])


def test_detail_on_a_small_screen(snap_compare):
    shot(snap_compare, app(views.failed()), size="small", keys=["9"])


def with_quarantine_open(it, rows):
    """Answer what the pane has asked for."""
    it.screen.action_go("quarantine")
    it.bridge.end_job(JobResult(Job.QUARANTINE, list(rows)))


@pytest.mark.parametrize("size", SIZES)
def test_quarantine(size, snap_compare):
    rows = (views.quarantined_row(),)
    shot(snap_compare, app(views.incomplete()), size=size, prepare=lambda it: with_quarantine_open(it, rows))


def test_row_in_quarantine_on_a_small_screen(snap_compare):
    rows = (views.quarantined_row(),)
    what = app(views.incomplete())
    shot(snap_compare, what, size="small", prepare=lambda it: with_quarantine_open(it, rows), keys=["enter"])


@pytest.mark.parametrize("size", ["wide", "small"])
def test_many_rows_in_quarantine(size, snap_compare):
    view = replace(views.incomplete(), rows_quarantined=12_345)
    rows = views.quarantined_rows(500)
    shot(snap_compare, app(view), size=size, prepare=lambda it: with_quarantine_open(it, rows), keys=["down", "down"])


@pytest.mark.parametrize("size", ["wide", "small"])
def test_hostile_row_in_quarantine(size, snap_compare):
    rows = (views.hostile_row(),)
    shot(
        snap_compare, app(views.incomplete()), size=size, prepare=lambda it: with_quarantine_open(it, rows),
        keys=[] if size == "wide" else ["enter"],
    )  # fmt: skip


@pytest.mark.parametrize("size", ["wide", "small"])
def test_empty_quarantine(size, snap_compare):
    shot(snap_compare, app(views.finished()), size=size, keys=["6"])


def test_quarantine_that_is_being_read(snap_compare):
    shot(snap_compare, app(views.incomplete()), keys=["6"])


def test_quarantine_while_a_run_goes_on(snap_compare):
    view = replace(views.running(), rows_quarantined=17)
    shot(snap_compare, app(view), prepare=lambda it: with_quarantine_open(it, views.quarantined_rows()))


def test_quarantine_being_replayed(snap_compare):
    shot(snap_compare, app(views.incomplete(), working=Job.REPLAY), keys=["6"])


@pytest.mark.parametrize("size", ["wide", "small"])
def test_sink_that_failed(size, snap_compare):
    shot(snap_compare, app(views.sink_failed()), size=size)


def test_zoomed_grid(snap_compare):
    shot(snap_compare, app(views.many_batches()), keys=["3", "z"])


def test_frozen(snap_compare):
    shot(snap_compare, app(views.running()), keys=["f"])


def test_filter(snap_compare):
    shot(snap_compare, app(views.failed()), keys=["slash", "n", "o", "p", "e"])


@pytest.mark.parametrize("size", ["wide", "small"])
def test_opening(size, snap_compare):
    recents = (Recent("/data/pipelines/flights.py", "flights", "/nowhere/flights"),)
    opening = BatchPipeApp(settings=Settings(recents=recents), now=lambda: views.NOW, glyphs=UNICODE)
    shot(snap_compare, opening, size=size, prepare=lambda it: isinstance(it.screen, OpeningScreen))


@pytest.mark.parametrize("keys", [[], ["question_mark"], ["R"], ["8"], ["f"], ["6"]])
@pytest.mark.parametrize("view", [views.failed, views.incomplete], ids=["failed", "incomplete"])
def test_ascii_terminal_is_given_ascii_only(view, keys):
    async def story():
        it = app(view(), glyphs=ASCII)
        async with it.run_test(size=SIZES["wide"]) as pilot:
            await pilot.press(*keys)
            await pilot.pause()
            text = "\n".join(
                "".join(segment.text for segment in strip) for strip in it.screen._compositor.render_strips()
            )
            assert text.isascii(), sorted({character for character in text if not character.isascii()})

    asyncio.run(story())


def test_every_picture_is_that_of_a_test(collected):
    """Several processes that take pictures don't know of each other, so none can say which are left over."""
    here = Path(__file__).parent
    pictures = {(path.parent.name, path.stem) for path in here.rglob("__snapshots__/*/*.svg")}
    modules = {module for module, _ in collected}
    assert {(module, name) for module, name in pictures if module in modules} <= collected
    assert len(pictures) > 100
