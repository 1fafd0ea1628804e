"""Text from people who don't like us, through the real engine and the real screen: shown as text, nothing obeyed."""

import pytest
import views
from textual.widgets import Static

from engine.state import RunState
from tui.settings import Recent, Settings
from tui.widgets.detail import DetailPane

pytestmark = pytest.mark.integration

HOSTILE = """
from engine import BatchPipeline, FunctionBatchStep
from engine.testing import NumberSource

def fail(frame):
    raise ValueError({text!r} + "x" * 10_000)

pipeline = BatchPipeline(
    [FunctionBatchStep({name!r}, fail)], NumberSource(100), batch_size=10,
    checkpoint_dir={checkpoint_dir!r}, name={name!r},
)
"""


def drawn(app):
    """Return the characters of the screen, as they would go to the terminal."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


def assert_harmless(app):
    text = drawn(app)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert len(text.splitlines()) == app.size.height


SIZES = ((120, 36), (80, 24), (60, 20))


@pytest.mark.parametrize("number", range(len(views.HOSTILE_NAMES) + 2))
async def test_hostile_step_pipeline_and_error(number, tmp_path, story):
    # Every name in one of the sizes, and the first two in another one each.
    name, size = views.HOSTILE_NAMES[number % len(views.HOSTILE_NAMES)], SIZES[number % len(SIZES)]
    path = tmp_path / "[@click=app.quit]hostile[bold].py"
    folder = tmp_path / "[bold]\u202echeckpoint"
    path.write_text(
        HOSTILE.format(text=views.HOSTILE_TEXT, name=name[:200], checkpoint_dir=str(folder)), encoding="utf-8"
    )

    async with story(path, size=size) as on:
        await on.loaded()
        await on.press("r")
        await on.until(lambda: on.bridge.working is None and on.view.state is RunState.FAILED)
        for keys in [["5"], ["8"], ["4"], ["9"], ["escape"], ["z"], ["z"], ["question_mark"], ["escape"], ["w"]]:
            await on.press(*keys)
            await on.pilot.pause()
            assert_harmless(on.app)
        assert on.return_code is None


async def test_hostile_recent_pipelines(story):
    recents = tuple(Recent(name, name, f"/nowhere/{name}") for name in views.HOSTILE_NAMES)

    async with story(settings=Settings(recents=recents), size=(80, 24)) as on:
        await on.pilot.pause()
        assert_harmless(on.app)
        await on.press("down", "enter")
        await on.until(lambda: on.bridge is not None and on.bridge.error is not None)
        await on.pilot.pause()
        assert_harmless(on.app)


async def test_secret_in_an_error_is_masked(tmp_path, story):
    path = tmp_path / "hostile.py"
    text = "cannot reach postgresql://ann:hunter2@db/sales "
    path.write_text(HOSTILE.format(text=text, name="load", checkpoint_dir=str(tmp_path / "c")), encoding="utf-8")

    async with story(path) as on:
        await on.loaded()
        await on.press("r")
        await on.until(lambda: on.screen.query_one(DetailPane).plain_text)
        assert "hunter2" not in on.screen.query_one(DetailPane).plain_text.partition("Traceback")[0]
        assert "hunter2" not in drawn(on.app)
        assert "hunter2" not in str(on.screen.query_one("#status-line", Static).render())
