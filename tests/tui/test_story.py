"""The whole story on real data through the real app, and what a person does on the way."""

import asyncio

import pytest
from textual.widgets import Button

from engine.state import RunState
from tui.screens.dashboard.dashboard import Dashboard
from tui.screens.dialogs.ask import AskScreen
from tui.screens.dialogs.changed import ChangedScreen
from tui.screens.dialogs.confirm import ConfirmScreen
from tui.screens.dialogs.quit import QuitScreen
from tui.screens.dialogs.rewind import RewindScreen
from tui.widgets import DetailPane, ResultsPane, RunsPane

WIDE = (120, 36)


def run(story):
    asyncio.run(story)


def state(app):
    return app.bridge.view().state if app.bridge.working is None else None


async def loaded(app, until):
    await until(lambda: app.bridge is not None and app.bridge.loaded and app.bridge.working is None)


async def screen_is(app, kind, until):
    await until(
        lambda: isinstance(app.screen, kind) and app.screen.focused is not None,
        told=lambda: f"the screen is {app.screen}, the focus on {app.screen.focused}",
    )


async def run_to_failure(app, pilot, until):
    await loaded(app, until)
    await pilot.press("r")
    await until(lambda: state(app) is RunState.FAILED)


def test_real_failure_is_read_mended_and_run_to_the_end(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            detail = app.screen.query_one(DetailPane)
            await until(lambda: "216,447" in detail.plain_text)
            assert "CheckFailed in check_speed, batch 21" in detail.plain_text
            assert "ATL" in detail.plain_text
            assert app.bridge.view().frontier == 20

            flights_file.raise_limit()
            await pilot.press("r")
            await screen_is(app, ChangedScreen, until)
            assert app.bridge.error.differences
            assert "check_speed" in app.bridge.error.differences[0]
            await pilot.press("right", "enter")
            await until(lambda: state(app) is RunState.FINISHED)
            view = app.bridge.view()
            assert (view.frontier, view.rows_committed, view.fraction) == (33, 336_776, 1.0)
            assert view.batches_committed_before == 21
            assert [record.outcome for record in app.bridge.runs] == ["finished", "failed"]
            await pilot.press("q")
        assert app.return_code == 0

    run(story())


def test_declining_changed_steps_runs_nothing(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            flights_file.raise_limit()
            await pilot.press("r")
            await screen_is(app, ChangedScreen, until)
            await pilot.press("enter")
            await screen_is(app, Dashboard, until)
            assert app.bridge.working is None
            assert len(app.bridge.runs) == 1
            assert app.bridge.view().frontier == 20

    run(story())


def test_broken_edit_is_told_and_the_checkpoint_stays(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            flights_file.edit("LIMIT_MPH = 700", "LIMIT_MPH = = 700")
            await pilot.press("r")
            await until(lambda: app.bridge.working is None and app.bridge.error is not None)
            assert "SyntaxError" in app.bridge.error.message
            assert app.bridge.view().frontier == 20
            flights_file.edit("LIMIT_MPH = = 700", "LIMIT_MPH = 700")
            await pilot.press("r")
            await until(lambda: state(app) is RunState.FAILED and len(app.bridge.runs) == 2)

    run(story())


def test_stop_quit_and_start_again_goes_on(gated, app_for, until):
    async def story():
        app = app_for(pipeline=gated)
        async with app.run_test(size=WIDE) as pilot:
            await loaded(app, until)
            gated.gate.release(1)
            await pilot.press("r")
            await until(lambda: app.bridge.view().frontier >= 0)
            await pilot.press("s")
            await until(lambda: app.bridge.view().state is RunState.STOPPING)
            gated.gate.release(10)
            await until(lambda: state(app) is RunState.RESUMABLE)
            stopped_at = app.bridge.view().frontier
            await pilot.press("q")
        assert app.return_code == 4

        again = app_for(pipeline=gated.with_options())
        async with again.run_test(size=WIDE) as pilot:
            await loaded(again, until)
            view = again.bridge.view()
            assert (view.state, view.frontier) == (RunState.RESUMABLE, stopped_at)
            gated.gate.release(100)
            await pilot.press("r")
            await until(lambda: state(again) is RunState.FINISHED)
            assert again.bridge.view().batches_committed_before == stopped_at + 1
            await pilot.press("q")
        assert again.return_code == 0

    run(story())


@pytest.mark.parametrize("presses", [["enter"], ["escape"]])
def test_reset_is_not_done_by_enter_or_escape_alone(presses, flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await pilot.press("R")
            await screen_is(app, ConfirmScreen, until)
            assert app.screen.focused.id == "cancel"
            await pilot.press(*presses)
            await screen_is(app, Dashboard, until)
            assert app.bridge.working is None
            assert app.bridge.view().frontier == 20

    run(story())


def test_reset_says_exactly_what_is_lost_and_then_drops_it(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await pilot.press("R")
            await screen_is(app, ConfirmScreen, until)
            said = " ".join(str(line.render()) for line in app.screen.query(".dialog-line"))
            assert "21 batches, 210,000 source rows" in said
            await pilot.press("right", "enter")
            await until(lambda: state(app) is RunState.IDLE)
            assert app.bridge.view().frontier == -1
            assert len(app.bridge.runs) == 1

    run(story())


def test_rewind_asks_for_the_batch_and_moves_the_frontier_back(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await pilot.press("w")
            await screen_is(app, RewindScreen, until)
            line = app.screen.query_one("#line")
            line.value = "99"
            await pilot.press("enter")
            assert isinstance(app.screen, RewindScreen)
            line.value = "9"
            await pilot.press("enter")
            await screen_is(app, ConfirmScreen, until)
            said = " ".join(str(found.render()) for found in app.screen.query(".dialog-line"))
            assert "11 batches, 110,000 source rows" in said
            app.screen.query_one("#confirm", Button).press()
            await until(lambda: state(app) is RunState.RESUMABLE)
            assert app.bridge.view().frontier == 9
            assert app.bridge.view().rows_to_go == 336_776 - 100_000

    run(story())


def test_quit_while_running_asks_and_stops_first(gated, app_for, until):
    async def story():
        app = app_for(pipeline=gated)
        async with app.run_test(size=WIDE) as pilot:
            await loaded(app, until)
            await pilot.press("r")
            await until(lambda: app.bridge.view().batches_in_flight > 0)
            await pilot.press("q")
            await screen_is(app, QuitScreen, until)
            await pilot.press("enter")
            await screen_is(app, Dashboard, until)
            assert app.bridge.view().state is RunState.RUNNING
            await pilot.press("q")
            await screen_is(app, QuitScreen, until)
            await pilot.press("right", "enter")
            await until(lambda: app.bridge.view().state is RunState.STOPPING)
            assert app.return_code is None
            gated.gate.release(100)
            await until(lambda: app.return_code is not None)
        assert app.return_code == 4
        assert app.bridge.close(5.0)

    run(story())


def test_ctrl_c_stops_gracefully_and_leaves(gated, app_for, until):
    async def story():
        app = app_for(pipeline=gated)
        async with app.run_test(size=WIDE) as pilot:
            await loaded(app, until)
            await pilot.press("r")
            await until(lambda: app.bridge.view().batches_in_flight > 0)
            await pilot.press("ctrl+c")
            await until(lambda: app.bridge.view().state is RunState.STOPPING)
            gated.gate.release(100)
            await until(lambda: app.return_code is not None)
        assert app.return_code == 4

    run(story())


def test_ctrl_c_twice_gives_up_what_is_in_flight(gated, app_for, until):
    async def story():
        app = app_for(pipeline=gated)
        async with app.run_test(size=WIDE) as pilot:
            await loaded(app, until)
            await pilot.press("r")
            await until(lambda: app.bridge.view().batches_in_flight > 0)
            await pilot.press("ctrl+c", "ctrl+c")
            assert app.bridge.view().stop_now
            gated.gate.release(100)
            await until(lambda: app.return_code is not None)
        assert app.return_code == 130

    run(story())


def test_screen_that_is_closed_lets_the_run_commit(gated, app_for, until):
    async def story():
        app = app_for(pipeline=gated)
        async with app.run_test(size=WIDE) as pilot:
            await loaded(app, until)
            gated.gate.release(1)
            await pilot.press("r")
            await until(lambda: app.bridge.view().frontier >= 0)
        gated.gate.release(100)
        assert app.bridge.close(10.0)
        assert app.bridge.view().state in {RunState.RESUMABLE, RunState.FINISHED}
        assert gated.get_frontier().last_completed_batch_id == app.bridge.view().frontier

    run(story())


def test_screen_that_raises_shows_no_locals_and_lets_the_run_commit(gated, app_for, until, monkeypatch, capsys):
    async def story():
        app = app_for(pipeline=gated)

        def broken(_view, _now):
            secret = "hunter2"  # noqa: F841, S105 (what must not be shown)
            raise RuntimeError("broken")

        async def use():
            async with app.run_test(size=WIDE) as pilot:
                await loaded(app, until)
                gated.gate.release(1)
                await pilot.press("r")
                await until(lambda: app.bridge.view().frontier >= 0)
                monkeypatch.setattr(app.screen.query_one("StatusBar"), "show", broken)
                await until(lambda: app.return_code is not None)

        with pytest.raises(RuntimeError, match="broken"):
            await use()
        assert app.return_code == 1
        said = "".join(capsys.readouterr())
        assert "broken" in said
        assert "hunter2" not in said
        gated.gate.release(100)
        assert app.bridge.close(10.0)
        assert app.bridge.view().frontier >= 0

    run(story())


def test_results_are_shown_page_by_page(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await pilot.press("7")
            pane = app.screen.query_one(ResultsPane)
            await until(lambda: "time_hour" in pane.shown_text)
            total = app.bridge.pipeline.scan_results().collect().height
            assert f"of {total:,}" in pane.footing_text
            await pilot.press("ctrl+end")
            await until(lambda: f"{total - 1:,}" in pane.footing_text)

    run(story())


def test_batch_of_the_grid_is_shown_with_its_times(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await pilot.press("3", "right", "right", "enter")
            detail = app.screen.query_one(DetailPane)
            await until(lambda: "20,000" in detail.plain_text)
            assert "add_speed" in detail.plain_text

    run(story())


def test_run_of_the_history_is_shown(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await until(lambda: "#1" in app.screen.query_one(RunsPane).shown_text)
            await pilot.press("4", "enter")
            await until(lambda: "failed" in app.screen.query_one(DetailPane).plain_text)

    run(story())


def test_export_never_offers_the_source(flights_file, app_for, until, tmp_path):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await pilot.press("e")
            await screen_is(app, AskScreen, until)
            line = app.screen.query_one("#line")
            assert line.value == "flights-results.parquet"
            line.value = str(app.bridge.view().source)
            await pilot.press("enter")
            assert isinstance(app.screen, AskScreen)
            line.value = str(tmp_path / "out.csv")
            await pilot.press("enter")
            await until((tmp_path / "out.csv").exists)

    run(story())


def test_freeze_holds_the_panes_and_the_run_goes_on(gated, app_for, until):
    async def story():
        app = app_for(pipeline=gated)
        async with app.run_test(size=WIDE) as pilot:
            await loaded(app, until)
            await pilot.press("f")
            steps = app.screen.query_one("#steps")
            before = steps.shown_text
            gated.gate.release(100)
            await pilot.press("r")
            await until(lambda: state(app) is RunState.FINISHED)
            await pilot.pause(0.3)
            assert steps.shown_text == before
            await pilot.press("f")
            assert steps.shown_text != before

    run(story())


def test_resize_zoom_and_filter_keep_the_chosen_batch(flights_file, app_for, until):
    async def story():
        app = app_for(str(flights_file.path))
        async with app.run_test(size=WIDE) as pilot:
            await run_to_failure(app, pilot, until)
            await pilot.press("3", "end")
            grid = app.screen.query_one("#batches")
            chosen = grid.batch_id
            await pilot.resize_terminal(80, 24)
            await pilot.press("z", "z", "slash", "x", "escape")
            await pilot.resize_terminal(120, 36)
            await pilot.pause()
            assert grid.batch_id == chosen == 33

    run(story())
