"""The parts that need no screen: settings, targets, source lines, the log, the report, the worker threads."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import views

from engine.errors import PipelineChanged, UsageError
from engine.events import (
    AttemptFailed,
    BatchCommitted,
    RowsQuarantined,
    RowsReplayed,
    RunEnded,
    RunInfo,
    RunStarted,
    Warned,
)
from engine.frontier import Frontier
from engine.state import RunState
from tui import settings as stored
from tui.backend.jobs import ErrorReport, Job
from tui.backend.run_log import KEPT, LogStream, RunLog
from tui.backend.target import Overrides, Target, file_of
from tui.backend.worker_thread import WorkerThread
from tui.screens.dashboard.editor import SourceLine, editor_command, source_line
from tui.screens.dashboard.report import markdown
from tui.screens.dashboard.status_line import Tone, status_line
from tui.screens.opening import recent_choice, samples
from tui.settings import Recent, Settings

# --- settings -------------------------------------------------------------------------------------------


def test_settings_come_back_as_they_were_kept(tmp_path):
    path = tmp_path / "new" / "settings.json"
    kept = Settings("batchpipe-light", ascii=True, recents=(Recent("/a.py", "a", "/c"),))
    assert stored.save(kept, path) == ""
    assert stored.load(path) == kept
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"theme": 3, "ascii": "yes", "recents": {}}',
        '{"recents": [1, {}, {"target": ""}]}',
        "\x00",
    ],
)
def test_damaged_settings_read_as_the_defaults(text, tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(text, encoding="utf-8")
    assert stored.load(path) == Settings()


def test_settings_that_cannot_be_kept_are_reported(tmp_path):
    (tmp_path / "file").write_text("")
    assert "can't be kept" in stored.save(Settings(), tmp_path / "file" / "settings.json")


def test_recent_pipelines_are_newest_first_once_and_bounded():
    settings = Settings()
    for number in [*range(12), 5]:
        settings = settings.with_recent(Recent(f"/{number}.py", "p", "/c"))
    assert [recent.target for recent in settings.recents[:2]] == ["/5.py", "/11.py"]
    assert len(settings.recents) == stored.KEPT_RECENTS


# --- opening --------------------------------------------------------------------------------------------


def test_the_sample_is_found_without_importing_it():
    (flights,) = [choice for choice in samples() if choice.name == "flights"]
    assert flights.target == "sample_data.flights:pipeline"
    assert "Flights out of New York City" in flights.description


def test_recent_pipeline_is_described_by_its_frontier_file_alone(tmp_path):
    recent = Recent("/a.py", "a", str(tmp_path))
    assert recent_choice(recent).description == "not started"
    Frontier(20, 209_999, 210_000, {"keep": 20}).save(tmp_path / "frontier.json")
    assert recent_choice(recent).description == "21 batches done, 210,000 rows"
    (tmp_path / "frontier.json").write_text("{")
    assert "can't be read" in recent_choice(recent).description
    assert [path.name for path in tmp_path.iterdir()] == ["frontier.json"]


# --- target ---------------------------------------------------------------------------------------------


def test_target_notices_an_edit_and_only_an_edit(flights_file):
    target = Target(str(flights_file.path), Overrides())
    target.load()
    assert not target.edited()
    flights_file.raise_limit()
    assert target.edited()


def test_command_line_overrides_what_the_file_says(flights_file, tmp_path):
    pipeline = Target(str(flights_file.path), Overrides(str(tmp_path / "other"), 500)).load()
    assert (pipeline.checkpoint_dir, pipeline.batch_size, pipeline.name) == (tmp_path / "other", 500, "flights")


def test_target_is_made_absolute_with_its_name(flights_file, monkeypatch):
    monkeypatch.chdir(flights_file.path.parent)
    target = Target("flights.py:pipeline", Overrides())
    target.load()
    assert target.absolute == f"{flights_file.path.resolve()}:pipeline"


def test_target_that_is_a_module_stays_as_it_is():
    target = Target("sample_data.flights:pipeline", Overrides())
    target.load()
    assert target.absolute == "sample_data.flights:pipeline"


def test_file_of_a_module_is_found():
    assert file_of("sample_data.flights:pipeline").name == "flights.py"


# --- source line ----------------------------------------------------------------------------------------


def traceback_through(*places):
    frames = "".join(f'  File "{file}", line {line}, in f\n    call()\n' for file, line in places)
    return f"Traceback (most recent call last):\n{frames}ValueError: no\n"


def test_deepest_frame_in_the_pipeline_file_is_opened(tmp_path):
    own = tmp_path / "mine.py"
    own.write_text("")
    text = traceback_through((own, 3), ("/usr/lib/python3/site-packages/polars/x.py", 9), (own, 7))
    assert source_line(text, own) == SourceLine(own, 7)


def test_check_without_a_frame_of_its_own_leads_to_the_line_that_names_the_step(flights_file):
    place = source_line(views.flight_failure().traceback, flights_file.path, "check_speed")
    assert "check_speed" in flights_file.path.read_text().splitlines()[place.line - 1]


def test_no_file_no_line():
    assert source_line("ValueError: no", None) is None


@pytest.mark.parametrize(
    ("editor", "command"),
    [
        ("vim", ["vim", "+7", "a.py"]),
        ("emacsclient -nw", ["emacsclient", "-nw", "+7", "a.py"]),
        ("hx", ["hx", "a.py:7"]),
        ("ed", ["ed", "a.py"]),
    ],
)
def test_editors_are_given_the_line(editor, command):
    assert editor_command(SourceLine(Path("a.py"), 7), editor) == command


# --- log ------------------------------------------------------------------------------------------------


def started(run_id=1):
    return RunStarted(run_id, views.NOON, RunInfo(source="s"), 21, 210)


def test_log_tells_what_matters_and_no_single_batches():
    log = RunLog(now=lambda: views.NOW)
    log(started())
    log(BatchCommitted(21, 0, 9, 10, 100, 0.1))
    log(AttemptFailed(22, "a", 1, 3, "TimeoutError: late", 0.5))
    log(Warned("mended"))
    log(RunEnded(1, views.NOW, RunState.RESUMABLE))
    texts = [line.text for line in log.take()]
    assert texts == [
        "run 1 started at batch 21 of s",
        "batch 22: step a failed (1/3), again in 0.5 s: TimeoutError: late",
        "warning: mended",
        "run 1 stopped",
    ]
    assert log.take() == []


def test_log_tells_what_is_taken_out_and_replayed_and_names_sinks():
    log = RunLog(now=lambda: views.NOW)
    log(replace(started(), info=RunInfo(sinks=("orders",))))
    log.take()
    log(RowsQuarantined(21, "parse", 2, "ValueError: no number"))
    log(AttemptFailed(21, "orders", 1, 3, "ConnectionError: gone", 0.5))
    log(AttemptFailed(21, None, 1, 3, "TimeoutError: late", 0.5))
    log(RowsReplayed(21, 1, 1))
    log(RunEnded(1, views.NOW, RunState.INCOMPLETE))
    assert [line.text for line in log.take()] == [
        "batch 21: 2 rows that parse can't process taken out: ValueError: no number",
        "batch 21: sink orders failed (1/3), again in 0.5 s: ConnectionError: gone",
        "batch 21: the fetch failed (1/3), again in 0.5 s: TimeoutError: late",
        "batch 21: 1 row replayed, 1 still in quarantine",
        "run 1 finished, with rows in quarantine",
    ]


def test_of_a_flood_the_newest_lines_stay_and_the_rest_is_counted():
    log = RunLog(now=lambda: views.NOW)
    for number in range(KEPT + 7):
        log.write(str(number))
    lines = log.take()
    assert lines[0].text == "… 7 lines left out"
    assert (lines[1].text, lines[-1].text) == ("7", str(KEPT + 6))


def test_printed_text_becomes_lines_when_they_are_whole():
    log = RunLog(now=lambda: views.NOW)
    for piece in ["half", " a line", "\n\nnext\nrest"]:
        log.printed(piece)
    assert [line.text for line in log.take()] == ["half a line", "next"]


def test_printing_to_the_stream_of_the_log_makes_lines():
    log = RunLog(now=lambda: views.NOW)
    print("one", "line", file=LogStream(log.printed), flush=True)
    assert [line.text for line in log.take()] == ["one line"]


# --- worker threads and job results ---------------------------------------------------------------------------------


class Panic(BaseException):
    """What Polars raises in Rust is no Exception either."""


def test_every_job_ends_in_one_report_whatever_it_raises():
    reports, all_done = [], threading.Event()

    def report(done):
        reports.append(done)
        if len(reports) == 3:
            all_done.set()

    def panic():
        raise Panic("rust password=hunter2")

    thread = WorkerThread("test", report)
    thread.do(Job.BATCH, lambda: 7, 7)
    thread.do(Job.PAGE, panic)
    thread.do(Job.EXPORT, lambda: "x")
    assert all_done.wait(60)
    assert thread.close(60)
    assert [done.value for done in reports] == [7, None, "x"]
    error = reports[1].error
    assert error.kind == "Panic"
    assert "hunter2" not in error.message


def test_thread_that_hangs_does_not_hold_the_exit():
    gate = threading.Event()
    thread = WorkerThread("test", lambda _done: None)
    thread.do(Job.BATCH, gate.wait)
    assert not thread.close(0.01)
    gate.set()
    assert thread.close(60)


def test_error_report_keeps_what_a_person_needs():
    error = ErrorReport.of(PipelineChanged(["step 'a' is new"], hint="go on"))
    assert (error.differences, error.hint, error.exit_code) == (("step 'a' is new",), "go on", 2)
    assert ErrorReport.of(UsageError("no")).differences == ()


# --- the sentence and the report ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "tone", "words"),
    [
        (views.idle(), Tone.QUIET, "nothing done yet, 336,776 rows to go; r runs it from the first batch"),
        (views.resumable(), Tone.QUIET, "batches 0\N{EN DASH}20 done, 210,000 rows; 126,776 rows to go"),
        (views.running(), Tone.QUIET, "continued at batch 2,100; 210,000,000 rows were done before"),
        (views.stopping(), Tone.BUSY, "3 batches in flight, then it stops"),
        (views.failed(), Tone.BAD, views.failed().end_message),
        (views.finished(), Tone.GOOD, "all 336,776 rows done in 34 batches"),
        (
            views.incomplete(),
            Tone.WARN,
            "all 336,776 rows done but 1, which is in quarantine",
        ),
    ],
)
def test_status_line_says_what_is_done_and_to_go(view, tone, words):
    said = status_line(view)
    assert (said.tone, said.words) == (tone, words)


def test_what_to_do_with_rows_in_quarantine_is_said():
    assert status_line(views.incomplete()).hint == "6 shows it; fix the step, then p replays"
    assert "done but 2, which are in quarantine" in status_line(replace(views.incomplete(), rows_quarantined=2)).words
    assert status_line(replace(views.resumable(), rows_quarantined=2)).words.endswith("; 2 rows in quarantine")
    assert "s stops it" in status_line(views.incomplete(), Job.REPLAY).hint


def test_estimates_are_called_estimates():
    view = views.resumable()
    view = replace(view, info=replace(view.info, source_rows_exact=False))
    assert "about 126,776 rows to go" in status_line(view).words


def test_a_job_is_named_before_the_state():
    assert status_line(views.failed(), Job.LOAD).words == "loading the pipeline…"
    assert status_line(views.running(), Job.RUN).tone is Tone.QUIET


def test_report_tells_the_run_and_its_failure():
    page = markdown(views.failed(), views.runs(), datetime(2026, 1, 31, 12, 5, tzinfo=UTC))
    assert page.startswith("# flights: failed\n")
    assert "| 216,447" in page or "Source rows: 216,447" in page
    assert "| drop\\_nulls | 20 | 210,000 | 0 |" in page


def test_report_counts_the_quarantine_and_calls_a_sink_a_sink():
    assert "| rows in quarantine | 1 |" in markdown(views.incomplete(), (), views.NOW)
    assert "OperationalError in sink orders in postgresql" in markdown(views.sink_failed(), (), views.NOW)


def test_report_keeps_hostile_text_as_text():
    page = markdown(views.hostile(), (), views.NOW)
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "[/bold]" not in page.replace("\\[/bold\\]", "").split("~~~~~~~~text")[0]


def test_settings_file_can_be_put_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv(stored.FOLDER_VARIABLE, str(tmp_path))
    assert stored.settings_file() == tmp_path / "settings.json"
    assert json.dumps(str(tmp_path))
