"""What only the real command in a real terminal can show: signals, a closed terminal, exit codes, the first picture."""

import resource
import signal
import subprocess
import sys

import pytest
from terminal_process import TerminalProcess

from engine.results.view import CheckpointView
from engine.state import RunState

pytestmark = pytest.mark.integration

# A batch takes long enough to be in flight when the signal comes.
SLEEPY = """
import os, time
from engine import BatchPipeline, FunctionBatchStep
from engine.testing import NumberSource

def nap(frame):
    time.sleep(0.05)
    return frame

def shout(frame):
    print("printed by a step")
    os.write(2, b"written past Python\\n")
    return frame

pipeline = BatchPipeline(
    [FunctionBatchStep("nap", nap), FunctionBatchStep("shout", shout)], NumberSource(100_000), batch_size=10,
    checkpoint_dir={checkpoint_dir!r}, name="sleepy",
)
"""


@pytest.fixture
def sleepy(tmp_path):
    path = tmp_path / "sleepy.py"
    path.write_text(SLEEPY.format(checkpoint_dir=str(tmp_path / "sleepy")), encoding="utf-8")
    return path


def standing(tmp_path):
    return CheckpointView(tmp_path / "sleepy").status()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_gracefully_and_leaves_the_screen(number, sleepy, tmp_path):
    with TerminalProcess(sleepy, "--run", cwd=tmp_path) as process:
        process.until_text("RUNNING")
        process.send(number)
        assert process.exit_code() == 4
        assert b"\x1b[?1049l" in process.written, "the alternate screen is still on"
    found = standing(tmp_path)
    assert (found.state, found.held_by) == (RunState.RESUMABLE, None)
    assert found.runs[0].state == "resumable"


def test_closed_terminal_loses_no_commit(sleepy, tmp_path):
    with TerminalProcess(sleepy, "--run", cwd=tmp_path) as process:
        process.until_text("RUNNING")
        process.close_terminal()
        assert process.process.wait() == 4
    found = standing(tmp_path)
    assert (found.state, found.held_by) == (RunState.RESUMABLE, None)
    assert found.runs[0].state == "resumable"


def test_failed_run_ends_with_1_and_says_why(flights_file, tmp_path):
    with TerminalProcess(flights_file.path, "--run", cwd=tmp_path) as process:
        process.until_text("FAILED")
        process.press("q")
        assert process.exit_code() == 1
        assert "flights: step 'check_speed' failed at batch 21" in process.text.rpartition("Quit")[2]


def test_run_without_its_bad_row_ends_with_0_and_says_what_is_missing(flights_file, tmp_path):
    with TerminalProcess(flights_file.path, "--run", cwd=tmp_path) as process:
        process.until_text("k Quarantine")  # k is accepted once the failure is loaded
        process.press("k")
        process.until_text("INCOMPLETE")
        process.press("q")
        assert process.exit_code() == 0
        assert "flights: all 336,776 rows done but 1, which is in quarantine" in process.text.rpartition("Quit")[2]


def test_ctrl_z_gives_the_terminal_back_and_fg_returns(sleepy, tmp_path):
    with TerminalProcess(sleepy, cwd=tmp_path) as process:
        process.until_text("nothing done yet")
        process.written = b""
        process.press("\x1a")
        process.until(process.is_suspended)
        assert b"\x1b[?1049l" in process.written
        process.written = b""
        process.send(signal.SIGCONT)
        process.until_text("nothing done yet")
        process.press("q")
        assert process.exit_code() == 0


def test_what_steps_print_goes_to_the_log(sleepy, tmp_path):
    with TerminalProcess(sleepy, "--run", cwd=tmp_path) as process:
        process.until_text("RUNNING")
        process.press("8")
        process.until_text("printed by a step")
        process.until_text("written past Python")
        process.press("\x03\x03")
        assert process.exit_code() == 130


def test_first_picture_comes_before_polars(flights_file, tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-c", "import tui.screens.dashboard.dashboard"], check=True)
    imports = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    with TerminalProcess(flights_file.path, cwd=tmp_path) as process:
        process.until_text("Steps")
        assert process.cpu_seconds() < 2 * imports  # with Polars and DuckDB it would be more
        process.until_text("nothing done yet")
        process.press("q")
        assert process.exit_code() == 0


def command(*arguments, **changes):
    words = [sys.executable, "-c", "from tui.cli import main; main()", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, **changes)


def test_help_loads_nothing_heavy():
    code = (
        "import sys, contextlib\nfrom tui.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "print([name for name in ('textual', 'polars', 'duckdb', 'rich') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"
    assert "--checkpoint-dir" in answer.stdout


def test_importing_the_app_loads_no_polars_and_no_duckdb():
    code = (
        "import sys, tui.app, tui.screens.dashboard.dashboard; print(sorted({'polars', 'duckdb'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_without_a_terminal_it_runs_without_a_screen(flights_file, tmp_path):
    answer = command(str(flights_file.path), stdin=subprocess.DEVNULL, cwd=tmp_path)
    assert answer.returncode == 1
    assert "check_speed" in answer.stderr
    assert "\x1b[?1049h" not in answer.stdout + answer.stderr


def test_without_a_terminal_and_a_target_it_says_what_to_do(tmp_path):
    answer = command(stdin=subprocess.DEVNULL, cwd=tmp_path)
    assert answer.returncode == 2
    assert "TARGET" in answer.stderr


def test_unknown_option_is_a_usage_error(tmp_path):
    assert command("--bogus", cwd=tmp_path).returncode == 2
