"""The whole story on real data through the real app, and what a person does on the way."""

from contextlib import asynccontextmanager

import pytest
from textual.widgets import Button

from engine.state import RunState
from tui.screens.dashboard.dashboard import Dashboard
from tui.screens.dialogs.ask import AskScreen, RewindScreen
from tui.screens.dialogs.confirm import ChangedScreen, ConfirmScreen, QuitScreen
from tui.widgets.detail import DetailPane
from tui.widgets.results import ResultsPane
from tui.widgets.runs import RunsPane

pytestmark = pytest.mark.integration


async def test_real_failure_is_read_fixed_and_run_to_the_end(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        detail = on.screen.query_one(DetailPane)
        await on.until(lambda: "216,447" in detail.plain_text)
        assert "CheckFailed in check_speed, batch 21" in detail.plain_text
        assert "ATL" in detail.plain_text
        assert on.view.frontier == 20

        flights_file.raise_limit()
        await on.press("r")
        await on.screen_is(ChangedScreen)
        assert on.bridge.error.differences
        assert "check_speed" in on.bridge.error.differences[0]
        await on.press("right", "enter")
        await on.until(lambda: on.state is RunState.FINISHED)
        view = on.view
        assert (view.frontier, view.rows_committed, view.fraction) == (33, 336_776, 1.0)
        assert view.batches_committed_before == 21
        assert [record.state for record in on.bridge.runs] == ["finished", "failed", "failed"]
        await on.press("q")
    assert on.return_code == 0


async def test_declining_changed_steps_runs_nothing(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        flights_file.raise_limit()
        await on.press("r")
        await on.screen_is(ChangedScreen)
        await on.press("enter")
        await on.screen_is(Dashboard)
        assert on.bridge.working is None
        assert [record.next_batch_id for record in on.bridge.runs] == [None, 21]
        assert on.view.frontier == 20


async def test_broken_edit_is_reported_and_the_checkpoint_stays(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        flights_file.edit("LIMIT_MPH = 700", "LIMIT_MPH = = 700")
        await on.press("r")
        await on.until(lambda: on.bridge.working is None and on.bridge.error is not None)
        assert "SyntaxError" in on.bridge.error.message
        assert on.view.frontier == 20
        flights_file.edit("LIMIT_MPH = = 700", "LIMIT_MPH = 700")
        await on.press("r")
        await on.until(lambda: on.state is RunState.FAILED and len(on.bridge.runs) == 2)


async def test_stop_quit_and_start_again_goes_on(gated, story):
    async with story(pipeline=gated) as on:
        await on.loaded()
        gated.gate.release(1)
        await on.press("r")
        await on.until(lambda: on.view.frontier >= 0)
        await on.press("s")
        await on.until(lambda: on.view.state is RunState.STOPPING)
        gated.gate.release(10)
        await on.until(lambda: on.state is RunState.RESUMABLE)
        stopped_at = on.view.frontier
        await on.press("q")
    assert on.return_code == 4

    async with story(pipeline=gated.with_options()) as on:
        await on.loaded()
        view = on.view
        assert (view.state, view.frontier) == (RunState.RESUMABLE, stopped_at)
        gated.gate.release(100)
        await on.press("r")
        await on.until(lambda: on.state is RunState.FINISHED)
        assert on.view.batches_committed_before == stopped_at + 1
        await on.press("q")
    assert on.return_code == 0


@pytest.mark.parametrize("presses", [["enter"], ["escape"]])
async def test_reset_is_not_done_by_enter_or_escape_alone(presses, flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        await on.press("R")
        await on.screen_is(ConfirmScreen)
        assert on.screen.focused.id == "cancel"
        await on.press(*presses)
        await on.screen_is(Dashboard)
        assert on.bridge.working is None
        assert on.view.frontier == 20


async def test_reset_says_exactly_what_is_lost_and_then_drops_it(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        await on.press("R")
        await on.screen_is(ConfirmScreen)
        said = " ".join(str(line.render()) for line in on.screen.query(".dialog-line"))
        assert "21 batches, 210,000 source rows" in said
        await on.press("right", "enter")
        await on.until(lambda: on.state is RunState.IDLE)
        assert on.view.frontier == -1
        assert len(on.bridge.runs) == 1


async def test_rewind_asks_for_the_batch_and_moves_the_frontier_back(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        await on.press("w")
        await on.screen_is(RewindScreen)
        line = on.screen.query_one("#line")
        line.value = "99"
        await on.press("enter")
        assert isinstance(on.screen, RewindScreen)
        line.value = "9"
        await on.press("enter")
        await on.screen_is(ConfirmScreen)
        said = " ".join(str(found.render()) for found in on.screen.query(".dialog-line"))
        assert "11 batches, 110,000 source rows" in said
        on.screen.query_one("#confirm", Button).press()
        await on.until(lambda: on.state is RunState.RESUMABLE)
        assert on.view.frontier == 9
        assert on.view.rows_to_go == 336_776 - 100_000


async def test_quit_while_running_asks_and_stops_first(gated, story):
    async with story(pipeline=gated) as on:
        await on.loaded()
        await on.press("r")
        await on.until(lambda: on.view.batches_in_flight > 0)
        await on.press("q")
        await on.screen_is(QuitScreen)
        await on.press("enter")
        await on.screen_is(Dashboard)
        assert on.view.state is RunState.RUNNING
        await on.press("q")
        await on.screen_is(QuitScreen)
        await on.press("right", "enter")
        await on.until(lambda: on.view.state is RunState.STOPPING)
        assert on.return_code is None
        gated.gate.release(100)
        await on.until(lambda: on.return_code is not None)
    assert on.return_code == 4
    assert on.bridge.close(60.0)


async def test_ctrl_c_stops_gracefully_and_leaves(gated, story):
    async with story(pipeline=gated) as on:
        await on.loaded()
        await on.press("r")
        await on.until(lambda: on.view.batches_in_flight > 0)
        await on.press("ctrl+c")
        await on.until(lambda: on.view.state is RunState.STOPPING)
        gated.gate.release(100)
        await on.until(lambda: on.return_code is not None)
    assert on.return_code == 4


async def test_ctrl_c_twice_gives_up_what_is_in_flight(gated, story):
    async with story(pipeline=gated) as on:
        await on.loaded()
        await on.press("r")
        await on.until(lambda: on.view.batches_in_flight > 0)
        await on.press("ctrl+c", "ctrl+c")
        assert on.view.stop_now
        gated.gate.release(100)
        await on.until(lambda: on.return_code is not None)
    assert on.return_code == 130


async def test_screen_that_is_closed_lets_the_run_commit(gated, story):
    async with story(pipeline=gated) as on:
        await on.loaded()
        gated.gate.release(1)
        await on.press("r")
        await on.until(lambda: on.view.frontier >= 0)
    gated.gate.release(100)
    assert on.bridge.close(60.0)
    assert on.view.state in {RunState.RESUMABLE, RunState.FINISHED}
    assert gated.get_frontier().last_completed_batch_id == on.view.frontier


async def test_screen_that_raises_shows_no_locals_and_lets_the_run_commit(gated, monkeypatch, capsys, story):
    def broken(_view):
        secret = "hunter2"  # noqa: F841, S105 (what must not be shown)
        raise RuntimeError("broken")

    @asynccontextmanager
    async def broken_story():
        with pytest.raises(RuntimeError, match="broken"):
            async with story(pipeline=gated) as on:
                yield on

    async with broken_story() as on:
        await on.loaded()
        gated.gate.release(1)
        await on.press("r")
        await on.until(lambda: on.view.frontier >= 0)
        monkeypatch.setattr(on.screen.query_one("StatusBar"), "show", broken)
        await on.until(lambda: on.return_code is not None)
    assert on.return_code == 1
    said = "".join(capsys.readouterr())
    assert "broken" in said
    assert "hunter2" not in said
    gated.gate.release(100)
    assert on.bridge.close(60.0)
    assert on.view.frontier >= 0


async def test_results_are_shown_page_by_page(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        await on.press("7")
        pane = on.screen.query_one(ResultsPane)
        await on.until(lambda: "time_hour" in pane.shown_text)
        total = on.bridge.pipeline.scan_results().collect().height
        assert f"of {total:,}" in pane.footing_text
        await on.press("ctrl+end")
        await on.until(lambda: f"{total - 1:,}" in pane.footing_text)


async def test_batch_of_the_grid_is_shown_with_its_times(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        await on.press("3", "right", "right", "enter")
        detail = on.screen.query_one(DetailPane)
        await on.until(lambda: "20,000" in detail.plain_text)
        assert "add_speed" in detail.plain_text


async def test_run_of_the_history_is_shown(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        await on.until(lambda: "#1" in on.screen.query_one(RunsPane).shown_text)
        await on.press("4", "enter")
        await on.until(lambda: "failed" in on.screen.query_one(DetailPane).plain_text)


async def test_export_never_offers_the_source(flights_file, tmp_path, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        await on.press("e")
        await on.screen_is(AskScreen)
        line = on.screen.query_one("#line")
        assert line.value == "flights-results.parquet"
        line.value = str(on.view.info.source)
        await on.press("enter")
        assert isinstance(on.screen, AskScreen)
        line.value = str(tmp_path / "out.csv")
        await on.press("enter")
        await on.until((tmp_path / "out.csv").exists)


async def test_a_report_never_replaces_a_file_without_asking(gated, tmp_path, story, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with story(pipeline=gated) as on:
        await on.loaded()
        path = tmp_path / f"{on.view.info.pipeline}.md"
        path.write_text("mine")
        await on.press("m")
        await on.screen_is(ConfirmScreen)
        await on.press("escape")
        await on.until(lambda: not isinstance(on.screen, ConfirmScreen))
        assert path.read_text() == "mine"
        await on.press("m")
        await on.screen_is(ConfirmScreen)
        on.screen.query_one("#confirm", Button).press()
        await on.until(lambda: path.read_text() not in {"", "mine"})
        path.unlink()
        await on.press("m")
        await on.until(path.exists)


async def test_freeze_holds_the_panes_and_the_run_goes_on(gated, story):
    async with story(pipeline=gated) as on:
        await on.loaded()
        await on.press("f")
        steps = on.screen.query_one("#steps")
        before = steps.shown_text
        gated.gate.release(100)
        await on.press("r")
        await on.until(lambda: on.state is RunState.FINISHED)
        on.screen.pull()
        assert steps.shown_text == before
        await on.press("f")
        assert steps.shown_text != before


async def test_resize_zoom_and_filter_keep_the_chosen_batch(flights_file, story):
    async with story(flights_file.path) as on:
        await on.run_to_failure()
        await on.press("3", "end")
        grid = on.screen.query_one("#batches")
        chosen = grid.batch_id
        await on.pilot.resize_terminal(80, 24)
        await on.press("z", "z", "slash", "x", "escape")
        await on.pilot.resize_terminal(120, 36)
        await on.pilot.pause()
        assert grid.batch_id == chosen == 33
