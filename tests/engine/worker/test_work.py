from __future__ import annotations

import json
import os
from dataclasses import replace

import polars as pl
import pytest

from engine.checkpoint.layout import Layout
from engine.checkpoint.parts import parts
from engine.checkpoint.parts.schema import SchemaPin
from engine.errors import (
    CheckpointNotWritable,
    DiskFull,
    RowsUnaccounted,
    SchemaDrift,
    StepFailed,
    StepResultInvalid,
)
from engine.events import BatchFetched, BatchStarted, RowsQuarantined
from engine.policy import Quarantine
from engine.steps.base import BatchStep
from engine.storage import files
from engine.testing import EventLog, FailingStep, NumberSource, PickyStep, RunningTotal
from engine.worker.chain import StepChain
from engine.worker.fetching import Source
from engine.worker.signals import Abandoned, StopSignal
from engine.worker.work import BatchWork, PartTarget


@pytest.fixture
def layout(tmp_path):
    (tmp_path / "results").mkdir()
    return Layout(tmp_path)


@pytest.fixture
def stop():
    return StopSignal()


@pytest.fixture
def work(layout, stop):
    """A function that builds the work over 25 rows in batches of 10."""

    def build(*steps, log=None, pinned=None, quarantine=None):
        emit = log or EventLog()
        return BatchWork(
            Source(NumberSource(25), batch_size=10, first_batch_id=0, retry=None, stop=stop, emit=emit),
            StepChain(steps, first_batch_id=0, retry=None, stop=stop, emit=emit, quarantine=quarantine),
            SchemaPin(pinned, first_batch_id=0, step=steps[-1].name if steps else "source"),
            PartTarget(layout, "zstd", run_id=7, epoch=3, run_key="abc-3", checkpoint='{"key": "abc"}'),
            stop=stop,
            emit=emit,
        )

    return build


def names_in(layout):
    return sorted(path.name for path in layout.results.iterdir())


def test_a_batch_becomes_a_part_and_its_manifest(work, layout):
    manifest = work(RunningTotal("sum"))(0)
    assert (manifest.batch_id, manifest.start_row, manifest.end_row, manifest.rows_out) == (0, 0, 9, 10)
    assert (manifest.run_id, manifest.epoch, manifest.attempts) == (7, 3, 1)
    assert manifest.states == {"sum": {"total": 45}}
    part = layout.temporary_part(0, manifest.attempt_id)
    assert names_in(layout) == [part.name]
    assert pl.read_parquet(part)["total"].to_list() == pl.Series(range(10)).cum_sum().to_list()
    assert manifest.bytes_written == part.stat().st_size
    assert manifest.write_seconds > 0


def test_the_part_says_what_the_catalog_will(work, layout):
    manifest = work(RunningTotal("sum"))(0)
    metadata = pl.read_parquet_metadata(layout.temporary_part(0, manifest.attempt_id))
    said = json.loads(metadata["batchpipe.manifest"])
    assert (said["batch_id"], said["attempt_id"], said["states"]) == (0, manifest.attempt_id, {"sum": {"total": 45}})
    assert json.loads(metadata["batchpipe.checkpoint"]) == {"key": "abc"}


def test_the_end_of_the_source_is_none(work, layout):
    done = work()
    assert [done(batch_id) is None for batch_id in range(5)] == [False, False, False, True, True]
    assert len(names_in(layout)) == 3


def test_each_attempt_has_a_name_of_its_own(work, layout):
    first, second = work()(0), work()(0)
    assert first.attempt_id != second.attempt_id
    assert len(names_in(layout)) == 2


def test_it_tells_that_it_begins_and_what_it_has(work):
    log = EventLog()
    work(log=log)(0)
    assert log.all()[0] == BatchStarted(0)
    fetched = log.of(BatchFetched)[0]
    assert (fetched.batch_id, fetched.start_row, fetched.end_row) == (0, 0, 9)


def test_steps_get_the_key(work):
    keys = []

    class Look(BatchStep):
        def process(self, batch):
            keys.append(batch.key)
            return batch

    work(Look("look"))(0)
    assert keys == ["abc-3:0"]


def test_a_failing_step_carries_the_rows_it_got(work, layout):
    with pytest.raises(StepFailed) as caught:
        work(FailingStep("a", {0: ValueError()}))(0)
    assert caught.value.source.data["id"].to_list() == list(range(10))
    assert names_in(layout) == []


def test_other_columns_than_the_pinned_ones_are_refused(work, layout):
    with pytest.raises(SchemaDrift):
        work(pinned=pl.Schema({"x": pl.Int64}))(0)
    assert names_in(layout) == []


def test_columns_that_cannot_be_stored_are_refused(work, layout):
    class Objects(BatchStep):
        def process(self, batch):
            return batch.with_data(pl.DataFrame({"thing": pl.Series([object()] * 10, dtype=pl.Object)}))

    with pytest.raises(StepResultInvalid, match="step 'objects' returned columns that can't be stored"):
        work(Objects("objects"))(0)
    assert [name for name in names_in(layout) if not name.endswith(".tmp")] == []


@pytest.mark.parametrize(("number", "kind"), [(28, DiskFull), (122, DiskFull), (13, CheckpointNotWritable)])
def test_a_part_that_cannot_be_written_says_why(work, monkeypatch, number, kind):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("engine.checkpoint.parts.parts.write", fail)
    with pytest.raises(kind) as caught:
        work()(0)
    assert "part-000000000000.parquet" in str(caught.value)


def test_after_a_stop_no_batch_is_begun(work, stop, layout):
    log = EventLog()
    stop.ask()
    with pytest.raises(Abandoned):
        work(log=log)(0)
    assert (log.all(), names_in(layout)) == ([], [])


def test_a_graceful_stop_finishes_the_batch_that_was_begun(work, stop):
    class Stops(BatchStep):
        def process(self, batch):
            stop.ask()
            return batch

    assert work(Stops("stops"))(0).rows_out == 10


def test_a_stop_now_writes_nothing_more(work, stop, layout):
    class Stops(BatchStep):
        def process(self, batch):
            stop.ask(now=True)
            return batch

    with pytest.raises(Abandoned):
        work(Stops("stops"))(0)
    assert names_in(layout) == []


def test_a_batch_that_was_given_up_writes_nothing_more(work, layout):
    built = []

    class GivesUp(BatchStep):
        concurrent = True

        def process(self, batch):
            built[0].cancel_from()
            return batch

    built.append(work(GivesUp("gives up")))
    with pytest.raises(Abandoned):
        built[0](0)
    assert names_in(layout) == []


def test_behind_a_batch_that_failed_none_is_begun(work):
    log = EventLog()
    done = work(FailingStep("a", {1: ValueError()}), log=log)
    assert done(0).rows_out == 10
    with pytest.raises(StepFailed):
        done(1)
    with pytest.raises(Abandoned):
        done(2)
    assert [event.batch_id for event in log.of(BatchStarted)] == [0, 1]


def test_it_knows_whether_it_takes_one_batch_at_a_time(work):
    assert work(FailingStep("a", {}, concurrent=True)).ordered  # a plain callable is asked in order
    assert work(FailingStep("a", {})).ordered


# --- rows that are taken out ----------------------------------------------------------------------------


def test_rows_that_go_missing_inside_are_seen(work, layout, monkeypatch):
    process = StepChain.process
    monkeypatch.setattr(StepChain, "process", lambda *given: replace(process(*given), dropped=1))
    with pytest.raises(RowsUnaccounted, match="10 came in, 10 came out, steps left out 1, and 0 are in quarantine"):
        work()(0)
    assert names_in(layout) == []


def test_rows_taken_out_are_durable_before_the_part_and_named_in_the_manifest(work, layout):
    log = EventLog()
    manifest = work(PickyStep("a", {3, 4}), log=log, quarantine=Quarantine(max_fraction=None))(0)
    assert (manifest.rows_out, manifest.rows_quarantined) == (8, 2)
    (about,) = manifest.quarantine
    assert (about.rows, about.step, about.error, about.from_step) == (2, "a", "ValueError: 3 is bad", "a")
    file = layout.quarantine_file(0, manifest.attempt_id, 0)
    assert (file.stat().st_size, files.checksum(file)) == (about.bytes_written, about.checksum)
    assert log.of(RowsQuarantined) == [RowsQuarantined(0, "a", 2, "ValueError: 3 is bad")]
    temporary = layout.temporary_part(0, manifest.attempt_id)
    assert parts.read_metadata(temporary)[0].quarantine == manifest.quarantine


@pytest.mark.parametrize(("number", "kind"), [(28, DiskFull), (13, CheckpointNotWritable)])
def test_a_quarantine_that_cannot_be_written_says_why(work, monkeypatch, number, kind):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("engine.checkpoint.parts.quarantine.write", fail)
    with pytest.raises(kind, match="quarantine"):
        work(PickyStep("a", {3}), quarantine=Quarantine(max_fraction=None))(0)
