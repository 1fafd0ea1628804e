"""What a person sees on a real terminal, and what happens when nobody reads."""

from __future__ import annotations

import fcntl
import os
import subprocess
import termios
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def on_terminal(start):
    """Runs a command with a terminal of its own for stdin and stderr.

    Types `answer`, at once or when `asked` is shown; returns the exit code and all that was shown.
    """

    def own_the_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def on_terminal(*arguments, answer="", asked="", **environment):
        ours, theirs = os.openpty()
        plain = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
        process = start(
            *arguments,
            stdin=theirs,
            stderr=theirs,
            stdout=subprocess.DEVNULL,
            env=plain | {"TERM": "xterm"} | environment,
            preexec_fn=own_the_terminal,
        )
        os.close(theirs)
        shown = b""
        waiting = answer
        try:
            if waiting and not asked:
                os.write(ours, waiting.encode())
                waiting = ""
            while piece := os.read(ours, 4096):
                shown += piece
                if waiting and asked.encode() in shown:
                    os.write(ours, waiting.encode())
                    waiting = ""
        except OSError:  # the terminal's other end was closed: the command has ended
            pass
        finally:
            os.close(ours)
        return process.wait(), shown.decode(environment.get("PYTHONIOENCODING", "utf-8"))

    return on_terminal


def test_a_terminal_gets_a_bar_in_place(on_terminal, tens):
    code, shown = on_terminal("run", tens)
    assert code == 0
    last = shown.split("\r\x1b[K")[-1]
    assert last.startswith("\x1b[32m━━━━━━━━━━")
    assert "100%  30/30 rows" in last
    assert "finished: 30 rows in 3 batches" in last


def test_no_color_is_respected(on_terminal, tens):
    assert "\x1b[32m" not in on_terminal("run", tens, NO_COLOR="1")[1]


def test_an_encoding_without_blocks_gets_ascii(on_terminal, tens):
    shown = on_terminal("run", tens, PYTHONIOENCODING="ascii")[1]
    assert "##########" in shown


def test_a_dumb_terminal_gets_counters(on_terminal, tens):
    shown = on_terminal("run", tens, TERM="dumb")[1]
    assert "\x1b" not in shown
    assert "3 batches, 30 of 30 rows (100%)" in shown


def test_without_a_terminal_there_are_counters_at_the_start_and_the_end(command, tens):
    lines = command("run", tens).err.splitlines()
    assert lines[0] == f"starting at batch 0: 30 rows to go; the checkpoint is in {Path.cwd()}/cp"
    assert lines[1].startswith("3 batches, 30 of 30 rows (100%), ")
    assert lines[2].startswith("finished: 30 rows in 3 batches")


def test_a_yes_on_the_terminal_drops_what_was_told(on_terminal, command, tens):
    command("run", tens)
    code, shown = on_terminal("reset", tens, answer="y\n")
    assert code == 0
    assert f"starting over drops 3 batches, 30 source rows, 30 result rows in {Path.cwd()}/cp" in shown
    assert "Drop them? [y/N]" in shown
    assert command("results", "count", tens).out == "0\n"


@pytest.mark.parametrize("answer", ["n\n", "\n", "yep\n"])
def test_anything_else_changes_nothing(on_terminal, command, tens, answer):
    command("run", tens)
    code, shown = on_terminal("run", tens, "--fresh", answer=answer)
    assert code == 2
    assert "nothing was changed" in shown
    assert command("results", "count", tens).out == "30\n"


def test_an_end_of_input_at_the_question_changes_nothing(on_terminal, command, tens):
    command("run", tens)
    code, _ = on_terminal("reset", tens, answer="\x04")
    assert code == 2
    assert command("results", "count", tens).out == "30\n"


def test_an_interrupt_at_the_question_changes_nothing(on_terminal, command, tens):
    command("run", tens)
    code, shown = on_terminal("reset", tens, answer="\x03", asked="[y/N]")
    assert code == 130, shown
    assert "nothing was changed" in shown
    assert command("results", "count", tens).out == "30\n"


def test_a_reader_that_has_enough_ends_results_quietly(command, start, tens):
    command("run", tens)
    process = start("results", "sql", "SELECT range FROM range(200000)", tens, "--rows", "0", "--csv")
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_a_run_goes_on_when_nobody_reads_its_events(gated):
    process = gated.run("--json")
    gated.wait_for("RunStarted")
    process.stdout.close()
    process.stdout = None
    gated.let_through(10)
    err = process.stderr.read()
    assert process.wait() == 0
    assert "finished: 50 rows" in err
