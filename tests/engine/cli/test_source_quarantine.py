"""Rows that the source can't read, on the command line: named, taken out, listed, exported, corrected, replayed."""

import json
from pathlib import Path

import polars as pl
import pytest

pytestmark = pytest.mark.integration

NUMBERS = """
from line_source import LineSource, lines
from engine import BatchPipeline, Quarantine
from engine.testing import PickyStep

BAD = {3, 15, 16}

pipeline = BatchPipeline([PickyStep("picky", {12})], LineSource(lines(30, BAD)), 10, "cp", on_error="stop")
"""


@pytest.fixture
def bad(write):
    """Writes the pipeline with other bad rows."""

    def rewrite(rows="{3, 15, 16}", **changes):
        text = NUMBERS.replace("{3, 15, 16}", rows)
        for old, new in changes.items():
            text = text.replace(old, new)
        write("numbers.py", text)

    rewrite()
    return rewrite


@pytest.fixture
def ran(command, bad):
    assert command("run", "numbers.py", "--on-error", "quarantine", "--max-quarantined", "9").code == 0
    return bad


def test_a_run_that_stops_names_the_line_and_says_what_to_do(command, bad):
    answer = command("run", "numbers.py")
    assert answer.code == 1
    assert "failed: 1 row of batch 0 can't be read: numbers.txt, line 4: it is no number: x3\n" in answer.err
    hint = "hint: Use digits. Everything before this batch is committed. on_error='quarantine' (--on-error quarantine) "
    assert f"{hint}takes such rows out and keeps them.\n" in answer.err
    assert "batch 0: 1 row of batch 0 can't be read: numbers.txt, line 4" in command("status", "numbers.py").out
    failures = command("failures", "numbers.py").out
    assert "batch 0, the source" in failures
    assert "  row 3: place=numbers.txt, line 4  text=x3  reason=it is no number\n" in failures


def test_a_failure_and_the_rows_taken_out_are_lines_of_json(command, bad):
    events = [json.loads(line) for line in command("run", "numbers.py", "--json").out.splitlines()]
    (failed,) = [event for event in events if event["type"] == "BatchFailed"]
    assert (failed["step"], failed["error_type"], failed["row_numbers"]) == (None, "RowsUnreadable", [3])
    answer = command("run", "numbers.py", "--json", "--on-error", "quarantine", "--max-quarantined", "9")
    events = [json.loads(line) for line in answer.out.splitlines()]
    taken_out = [event for event in events if event["type"] == "RowsQuarantined" and event["step"] == "source"]
    assert sorted(event["error"] for event in taken_out) == [
        "numbers.txt, line 16: it is no number",
        "numbers.txt, line 4: it is no number",
    ]


def test_too_many_rows_name_the_source_and_its_line(command, bad):
    answer = command("run", "numbers.py", "--on-error", "quarantine", "--max-quarantined", "1")
    assert "where 1 may be in quarantine; the source: numbers.txt, line 16: it is no number" in answer.err


def test_list_shows_where_each_line_is(command, ran):
    answer = command("quarantine", "list", "numbers.py")
    assert answer.out.splitlines() == [
        "batch  row  line            step    error                  input",
        "0      3    numbers.txt:4   source  it is no number        x3",
        '1      12                   picky   ValueError: 12 is bad  {"id": 12}',
        "1      15   numbers.txt:16  source  it is no number        x15",
        "1      16   numbers.txt:17  source  it is no number        x16",
    ]


def test_the_end_of_a_long_path_is_shown(command, ran):
    from engine import QuarantinedRow, SourceRow
    from engine.cli.commands.quarantine import _line

    row = QuarantinedRow(0, 3, "source", "", "", "", "", SourceRow(3, "", "", f"/{'folder/' * 20}orders.csv", 641))
    assert len(_line(row)) == 60
    assert _line(row).startswith("…")
    assert _line(row).endswith("/orders.csv:641")


@pytest.mark.parametrize("name", ["bad.csv", "bad.parquet"])
def test_lines_are_corrected_in_an_exported_file(command, ran, workplace, name):
    assert command("quarantine", "export", name, "numbers.py").code == 0
    frame = pl.read_csv(name) if name.endswith("csv") else pl.read_parquet(name)
    mended = frame.with_columns(text=pl.col("text").str.strip_prefix("x")).filter(pl.col("source_row") != 16)
    (mended.write_csv if name.endswith("csv") else mended.write_parquet)(name)
    answer = command("quarantine", "replay", "numbers.py", "--from", name)
    assert answer.err.splitlines() == [
        "batch 0: 1 row replayed",
        "batch 1: 1 row replayed, 2 still in quarantine",
        "2 rows replayed into the results, 2 still in quarantine",
        f"  not tried: 1 row of {name} that a step refused: there is no text to correct",
        "  1 row: step 'picky': ValueError: 12 is bad",
        "  1 row: the source: numbers.txt, line 17: it is no number",
        f"see batch-pipeline quarantine list --checkpoint-dir {Path.cwd()}/cp",
    ]
    assert answer.code == 5
    assert command("results", "count", "numbers.py").out == "28\n"


def test_a_source_that_was_corrected_is_read_again(command, ran):
    ran("{16}")
    answer = command("quarantine", "replay", "numbers.py")
    assert "2 rows replayed into the results, 2 still in quarantine" in answer.err
    assert "  1 row: the source: numbers.txt, line 17: it is still no number" in answer.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "none.csv"),
        ("source_row,text\n99,1\n", "has source_row 99, which isn't in quarantine"),
        ("row,text\n3,1\n", "none.csv can't be used"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_usage_error(command, ran, workplace, content, words):
    if content is not None:
        (workplace / "none.csv").write_text(content)
    answer = command("quarantine", "replay", "numbers.py", "--from", "none.csv")
    assert answer.code == 2
    assert words in answer.err
    assert "hint: Export the quarantine again" in answer.err
    assert "Traceback" not in answer.err


def test_hostile_lines_are_made_safe(command, bad):
    bad(**{"lines(30, BAD)": "['1', '\\x1b[31m[bold]']"})
    assert "\x1b" not in command("run", "numbers.py").err
    command("run", "numbers.py", "--on-error", "quarantine", "--max-quarantined", "9")
    assert "\x1b" not in command("quarantine", "list", "numbers.py").out
    assert "\x1b" not in command("quarantine", "replay", "numbers.py").err
