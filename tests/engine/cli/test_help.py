import os
import subprocess
import sys

import pytest

COMMAND = (sys.executable, "-m", "engine.cli")

BUILD = """
import sys
from typer.main import get_command
from engine.cli.app import app
get_command(app)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"rich", "textual", "polars", "duckdb", "sqlalchemy"}))
"""


@pytest.mark.integration
def test_building_the_commands_loads_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", BUILD], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.integration
def test_help_takes_less_than_half_a_second_of_cpu_time():
    process = subprocess.Popen([*COMMAND, "--help"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_utime + usage.ru_stime < 0.5


def test_help_names_every_command_and_the_exit_codes(command):
    answer = command("--help")
    assert answer.code == 0
    for word in (
        "run",
        "status",
        "history",
        "failures",
        "reset",
        "rewind",
        "verify",
        "results",
        "quarantine",
        "4 stopped",
        "5 finished",
    ):
        assert word in " ".join(answer.out.split())


def test_completion_is_offered(command):
    assert "--install-completion" in command("--help").out


def test_an_unknown_command_is_a_usage_error(command):
    answer = command("rum")
    assert answer.code == 2
    assert "No such command 'rum'" in answer.err
    assert answer.out == ""


def test_the_version_is_told(command):
    assert command("--version").out == "0.1.0\n"
