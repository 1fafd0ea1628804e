"""Rows that the source couldn't read are read again: its own line, or what a person made of it in an exported file."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from line_source import LineSource, lines

from engine import Batch, BatchPipeline, BatchStep, FilterBatchStep, Quarantine, RunState, SourceRow
from engine.errors import SourceNotFound, UsageError
from engine.runs.replay import Replayed
from engine.testing import EventLog, InlineExecutor, PickyStep, RunningTotal

pytestmark = pytest.mark.integration

UNLIMITED = Quarantine(max_rows=None, max_fraction=None)


@pytest.fixture
def pipeline(tmp_path):
    def build(*steps, bad=(), rows=30, **options):
        fixed = {"batch_size": 10, "checkpoint_dir": tmp_path / "ck", "workers": 2, "on_error": UNLIMITED}
        source = options.pop("source", None) or LineSource(lines(rows, bad))
        return BatchPipeline(steps, source, **(fixed | options))

    return build


@pytest.fixture(params=["csv", "parquet"])
def exported(request, tmp_path):
    """Exports the quarantine of a pipeline with changed texts, of the rows in `texts` only; returns the file."""

    def export(run, texts, **columns):
        path = tmp_path / f"bad.{request.param}"
        run.quarantine.export(path, overwrite=True)
        frame = pl.read_csv(path) if request.param == "csv" else pl.read_parquet(path)
        frame = frame.filter(pl.col("source_row").is_in(list(texts)))
        frame = frame.with_columns(text=pl.col("source_row").replace_strict(texts, return_dtype=pl.String))
        frame = frame.with_columns(**columns)
        if request.param == "csv":
            frame.write_csv(path)
        else:
            frame.write_parquet(path)
        return path

    return export


def ids(one):
    return one.collect_results()["id"].to_list()


def left(one):
    return [row.source_row for row in one.quarantine.rows()]


def without(rows, *bad):
    return [number for number in range(rows) if number not in bad]


def mend(run, *numbers):
    for number in numbers:
        run.batch_fetcher.lines[number] = str(number)


# --- the source's own line ------------------------------------------------------------------------------


def test_lines_that_were_mended_in_the_source_go_to_their_places(pipeline):
    run = pipeline(PickyStep("a"), bad={0, 3, 4, 9, 15, 29})
    run.run()
    mend(run, 3, 9, 29)
    assert run.quarantine.replay() == Replayed(rows=3, still=3)
    assert (ids(run), left(run)) == (without(30, 0, 4, 15), [0, 4, 15])
    mend(run, 0, 4, 15)
    assert run.quarantine.replay() == Replayed(rows=3, still=0)
    assert ids(run) == list(range(30))
    assert run.view().state is RunState.FINISHED


def test_a_row_that_still_cannot_be_read_has_its_new_error_and_its_place(pipeline):
    run = pipeline(bad={3})
    run.run()
    assert run.quarantine.replay() == Replayed(rows=0, still=1)
    (row,) = run.quarantine.rows()
    assert (row.step, row.error, row.input) == ("source", "numbers.txt, line 4: it is still no number", "x3")
    assert row.origin == SourceRow(3, "x3", row.error, "numbers.txt", 4, 21, "Use digits.")


def test_rows_of_the_source_and_of_a_step_are_put_between_each_other(pipeline):
    step = PickyStep("a", {2, 4, 5})
    run = pipeline(FilterBatchStep("f", pl.col("id") != 8), step, bad={1, 3, 6, 7, 8})
    run.run()
    mend(run, 3, 7, 8)
    step.bad = {5}
    assert run.quarantine.replay() == Replayed(rows=5, still=3)
    assert ids(run) == without(30, 1, 5, 6, 8)
    mend(run, 1, 6)
    step.bad = set()
    run.quarantine.replay()
    assert ids(run) == without(30, 8)


def test_a_row_that_is_read_and_then_refused_by_a_step_stays_with_that_error(pipeline):
    step = PickyStep("a", {3})
    run = pipeline(step, bad={3})
    run.run()
    mend(run, 3)
    assert run.quarantine.replay() == Replayed(rows=0, still=1)
    (row,) = run.quarantine.rows()
    assert (row.step, row.error, row.input) == ("a", "ValueError: 3 is bad", '{"id": 3}')
    assert row.origin.text == "x3"
    step.bad = set()
    assert run.quarantine.replay() == Replayed(rows=1, still=0)
    assert ids(run) == list(range(30))


def test_a_pipeline_without_steps_replays_too(pipeline):
    run = pipeline(bad={3, 29})
    run.run()
    mend(run, 3, 29)
    run.quarantine.replay()
    assert ids(run) == list(range(30))


def test_a_batch_of_which_no_row_could_be_read_comes_back(pipeline):
    run = pipeline(PickyStep("a"), bad=range(10, 20))
    run.run()
    mend(run, *range(10, 20))
    assert run.quarantine.replay() == Replayed(rows=10, still=0)
    assert ids(run) == list(range(30))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sets(st.integers(0, 19)), st.sets(st.integers(0, 19))), min_size=1, max_size=4),
    st.integers(1, 8),
)
def test_however_often_it_is_tried_each_row_ends_where_it_belongs(tmp_path_factory, tries, size):
    """Each try has other rows that the source can't read, and others that a step refuses."""
    unreadable, refused = tries[0]
    step = PickyStep("a", refused)
    run = BatchPipeline(
        [FilterBatchStep("f", pl.col("id") % 5 != 0), step],
        LineSource(lines(20, unreadable)),
        size,
        tmp_path_factory.mktemp("replay"),
        executor=InlineExecutor(),
        on_error=UNLIMITED,
    )
    run.run()
    of_source, of_step = set(unreadable), {n for n in refused - unreadable if n % 5}
    for now_unreadable, now_refused in [*tries[1:], (set(), set())]:
        run.batch_fetcher.lines = lines(20, now_unreadable)
        step.bad = now_refused
        run.quarantine.replay()
        of_source = {n for n in of_source if n in now_unreadable or (n in now_refused and n % 5)}
        of_step &= now_refused
        assert ids(run) == [n for n in range(20) if n % 5 and n not in of_source | of_step]
        assert sorted(left(run)) == sorted(of_source | of_step)
    assert run.refresh().state is RunState.FINISHED


# --- what a person corrected ----------------------------------------------------------------------------


def test_mended_texts_take_the_places_of_their_rows(pipeline, exported):
    run = pipeline(PickyStep("a", {5}), bad={3, 4, 15})
    run.run()
    file = exported(run, {3: "3", 15: "1000"})
    assert run.quarantine.replay(mended=file) == Replayed(rows=2, still=2)
    assert ids(run) == [1000 if n == 15 else n for n in without(30, 4, 5)]
    assert run.batch_fetcher.read_again == [(3, "3"), (15, "1000")]
    assert left(run) == [4, 5]


def test_a_mended_text_that_cannot_be_read_stays_with_its_error(pipeline, exported):
    run = pipeline(bad={3})
    run.run()
    run.quarantine.replay(mended=exported(run, {3: "three"}))
    (row,) = run.quarantine.rows()
    assert (row.error, row.input) == ("numbers.txt, line 4: it is still no number", "three")
    mend(run, 3)
    run.quarantine.replay()  # reads the source's own line again, not that text
    assert run.batch_fetcher.read_again == [(3, "three"), (3, None)]
    assert ids(run) == list(range(30))


def test_a_mended_text_that_a_step_refuses_is_kept_for_the_next_replay(pipeline, exported):
    step = PickyStep("a", {777})
    run = pipeline(step, bad={3})
    run.run()
    run.quarantine.replay(mended=exported(run, {3: "777"}))
    assert run.quarantine.rows()[0].error == "ValueError: 777 is bad"
    step.bad = set()
    run.quarantine.replay()
    assert run.batch_fetcher.read_again == [(3, "777"), (3, "777")]
    assert ids(run) == [777 if n == 3 else n for n in range(30)]


def test_an_empty_text_is_a_text(pipeline, exported):
    run = pipeline(bad={3})
    run.run()
    run.quarantine.replay(mended=exported(run, {3: ""}))
    assert run.batch_fetcher.read_again == [(3, "")]


def test_a_file_can_be_used_twice_and_rows_of_steps_in_it_are_left(pipeline, exported):
    run = pipeline(PickyStep("a", {5}), bad={3, 4})
    run.run()
    file = exported(run, {3: "3", 5: "5"})
    of_step = f"1 row of {file} that a step refused: there is no text to correct"
    assert run.quarantine.replay(mended=file) == Replayed(1, 2, (of_step,))
    gone = f"1 row of {file}, not in quarantine any more"
    assert run.quarantine.replay(mended=file) == Replayed(0, 2, (of_step, gone))
    assert ids(run) == without(30, 4, 5)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"source_row": pl.col("source_row") + 27}, "has source_row 30, which isn't in quarantine"),
        ({"source_row": pl.col("source_row") - 4}, "has source_row -1, which isn't in quarantine"),
        ({"source_row": 3}, "has source_row 3 more than once"),
        ({"source_row": pl.lit("three")}, "can't be used: .*three"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_before_anything_is_done(pipeline, exported, columns, problem):
    run = pipeline(bad={3, 4})
    run.run()
    with pytest.raises(UsageError, match=problem):
        run.quarantine.replay(mended=exported(run, {3: "3", 4: "4"}, **columns))
    assert (len(run.history()), left(run), run.batch_fetcher.read_again) == (1, [3, 4], [])


@pytest.mark.parametrize(
    ("name", "content"), [("bad.csv", "a,b\n1,2\n"), ("bad.txt", ""), ("bad.parquet", "no"), ("none.csv", None)]
)
def test_a_file_of_another_kind_is_refused(pipeline, tmp_path, name, content):
    run = pipeline(bad={3})
    run.run()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=name):
        run.quarantine.replay(mended=tmp_path / name)


def test_an_export_has_the_texts_to_correct(pipeline, tmp_path):
    run = pipeline(PickyStep("a", {5}), source=LineSource(['say "x"\nand\tmore, é', *lines(30)[1:]]))
    run.run()
    for name in ("bad.csv", "bad.parquet"):
        run.quarantine.export(tmp_path / name)
        frame = pl.read_csv(tmp_path / name) if name.endswith("csv") else pl.read_parquet(tmp_path / name)
        assert frame.rows() == [
            (0, 0, "source", "Unreadable", "it is no number", None, "numbers.txt", 1, 'say "x"\nand\tmore, é'),
            (0, 5, "a", "ValueError", "ValueError: 5 is bad", '{"id": 5}', None, None, None),
        ]


# --- what can't be tried --------------------------------------------------------------------------------


class WholeBatches(BatchStep):
    row_wise = False

    def process(self, batch):
        return batch


@pytest.mark.parametrize(
    ("step", "obstacle"),
    [
        (RunningTotal("sum"), "step 'sum' has a memory of the batches before"),
        (WholeBatches("w"), "step 'w' works on whole batches"),
    ],
)
def test_rows_before_steps_that_need_other_rows_too_stay(pipeline, step, obstacle):
    run = pipeline(PickyStep("a", {5}), step, bad={3})
    run.run()
    mend(run, 3)
    assert obstacle in run.quarantine.replay().obstacles
    assert left(run) == [3, 5]
    pipeline(PickyStep("a"), bad={3}).run(resume=False)
    assert pipeline(PickyStep("a"), step).quarantine.replay(accept_changes=True).obstacles == (obstacle,)


def test_a_source_that_cannot_read_a_row_again_says_so_and_rows_of_steps_are_replayed(pipeline):
    def source(batch_id, size):
        unreadable = (SourceRow(1, "?", "why"),)
        return Batch(0, 0, 2, pl.DataFrame({"id": [0, 2]}), unreadable=unreadable) if batch_id == 0 else None

    step = PickyStep("a", {2})
    run = pipeline(step, source=source)
    run.run()
    step.bad = set()
    obstacle = "the source has no read_row, so it can't read a row again"
    assert run.quarantine.replay() == Replayed(1, 1, (obstacle,))
    assert ids(run) == [0, 2]


def test_a_source_that_is_gone_is_named_and_rows_of_steps_are_replayed(pipeline):
    class Gone(LineSource):
        gone = False

        def open(self, position):
            if self.gone:
                raise SourceNotFound("numbers.txt isn't there")
            super().open(position)

    step = PickyStep("a", {5})
    run = pipeline(step, source=Gone(lines(30, {3, 23})))
    run.run()
    step.bad = set()
    run.batch_fetcher.gone = True
    assert run.quarantine.replay() == Replayed(1, 2, ("the source can't be opened: numbers.txt isn't there",))
    assert ids(run) == without(30, 3, 23)


@pytest.mark.parametrize("answer", [None, pl.DataFrame({"id": [1, 2]}), pl.exceptions.PanicException("oh")])
def test_a_source_that_answers_with_anything_else_keeps_the_row_in_quarantine(pipeline, answer):
    class Broken(LineSource):
        def read_row(self, row, text=None):
            if isinstance(answer, BaseException):
                raise answer
            return answer

    run = pipeline(source=Broken(lines(30, {3})))
    run.run()
    assert run.quarantine.replay() == Replayed(rows=0, still=1)
    assert ids(run) == without(30, 3)


def test_the_source_is_opened_for_a_replay_only_when_rows_of_it_wait(pipeline):
    step = PickyStep("a", {5})
    run = pipeline(step)
    run.run()
    opened = len(run.batch_fetcher.opened)
    run.quarantine.replay()
    assert len(run.batch_fetcher.opened) <= opened + 1  # for its size, after the replay


def test_a_log_of_events_counts_what_came_back(pipeline):
    from engine.events import RowsReplayed

    log = EventLog()
    run = pipeline(PickyStep("a", {5}), bad={3, 4, 15}, listeners=[log])
    run.run()
    mend(run, 3, 15)
    run.quarantine.replay()
    assert log.of(RowsReplayed) == [RowsReplayed(0, 1, 2), RowsReplayed(1, 1, 0)]
