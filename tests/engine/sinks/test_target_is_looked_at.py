"""What happened to the table since the last run: it is made whole again, or the run is refused and says the way out."""

from __future__ import annotations

import threading

import polars as pl
import pytest

from engine import BatchPipeline, BatchStep, FrameFetcher
from engine.errors import SinkNotUsable, StepFailed
from engine.sinks.base import Delivery

pytestmark = pytest.mark.integration

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.needs("postgres"))

MENDED = {
    "dropped": ["DROP TABLE target"],
    "emptied": ["DELETE FROM target"],
    "renamed": ["ALTER TABLE target RENAME TO other"],
    "made again, empty": ["DROP TABLE target", "CREATE TABLE target (id BIGINT, value BIGINT, batch_id BIGINT)"],
    "half of the batches deleted": ["DELETE FROM target WHERE batch_id >= 4"],
    "some rows of some batches deleted": ["DELETE FROM target WHERE id % 7 = 3"],
    "one batch deleted": ["DELETE FROM target WHERE batch_id = 0"],
}
DOUBLED = "INSERT INTO target SELECT id, value, batch_id FROM target WHERE id = 35"
REFUSED = {
    "rows doubled": [DOUBLED],
    "filled by another": ["INSERT INTO target (id, value, batch_id) VALUES (1000, 0, 77)"],
    "the ledger emptied": ["DELETE FROM batchpipe_deliveries"],
    "the ledger dropped": ["DROP TABLE batchpipe_deliveries"],
}


class FailsOnce(BatchStep):
    def __init__(self, name, batch_id=None):
        super().__init__(name)
        self.batch_id = batch_id

    def process(self, batch):
        if batch.batch_id == self.batch_id:
            raise ValueError("a bad row")
        return batch


def run(folder, frame, sink, *, fails_at=None):
    step = FailsOnce("fails", fails_at)
    BatchPipeline([step], FrameFetcher(frame), 10, folder / "checkpoint", sinks=[sink], workers=1).run()


def whole(place, count=95):
    rows = place.rows("SELECT id, value, batch_id FROM target WHERE batch_id IS NOT NULL ORDER BY id")
    return rows == [(n, n % 7, n // 10) for n in range(count)]


@pytest.mark.parametrize("finished", [True, False], ids=["after a finished run", "before a resume"])
@pytest.mark.parametrize("damage", list(MENDED))
def test_a_table_that_lacks_rows_is_whole_after_the_next_run(tmp_path, place, numbers, damage, finished):
    if finished:
        run(tmp_path, numbers, place.sink())
    else:
        with pytest.raises(StepFailed):
            run(tmp_path, numbers, place.sink(), fails_at=6)
    for statement in MENDED[damage]:
        place.execute(statement)
    run(tmp_path, numbers, place.sink())
    assert whole(place)
    run(tmp_path, numbers, place.sink())
    assert whole(place)


@pytest.mark.parametrize("damage", list(REFUSED))
def test_a_table_with_rows_that_the_sink_did_not_write_is_refused_and_the_hint_works(tmp_path, place, numbers, damage):
    run(tmp_path, numbers, place.sink())
    for statement in REFUSED[damage]:
        place.execute(statement)
    before = place.rows("SELECT * FROM target ORDER BY id")
    with pytest.raises(SinkNotUsable, match="rows with batch_id =") as caught:
        run(tmp_path, numbers, place.sink())
    assert place.rows("SELECT * FROM target ORDER BY id") == before
    assert "Set batch_id of the other rows to NULL" in caught.value.hint
    assert "drop it" in caught.value.hint
    place.execute("DROP TABLE target")
    run(tmp_path, numbers, place.sink())
    assert whole(place)


def test_other_rows_can_be_kept_by_taking_their_batch_away(tmp_path, place, numbers):
    run(tmp_path, numbers, place.sink())
    place.execute("INSERT INTO target (id, value, batch_id) VALUES (1000, 0, 77)")
    with pytest.raises(SinkNotUsable, match="batch_id = 77"):
        run(tmp_path, numbers, place.sink())
    place.execute("UPDATE target SET batch_id = NULL WHERE id = 1000")
    run(tmp_path, numbers, place.sink())
    assert whole(place)
    assert place.rows("SELECT value FROM target WHERE id = 1000") == [(0,)]


def test_a_ledger_of_an_earlier_version_is_read(tmp_path, place, numbers):
    run(tmp_path, numbers, place.sink())
    place.execute("DELETE FROM batchpipe_deliveries WHERE batch_id = -1")
    place.execute("ALTER TABLE batchpipe_deliveries DROP COLUMN row_count")
    place.execute("DELETE FROM target WHERE batch_id = 3")
    run(tmp_path, numbers, place.sink())
    assert whole(place)
    with pytest.raises(SinkNotUsable, match="filled by another checkpoint"):
        run(tmp_path / "other", numbers, place.sink())


@pytest.mark.parametrize("place", [POSTGRESQL, "sqlite"], indirect=True)
def test_without_a_batch_column_an_empty_table_is_filled_and_a_partial_one_refused(tmp_path, place, numbers):
    for statement in ("DELETE FROM target", "DROP TABLE target"):
        run(tmp_path, numbers, place.sink(batch_column=None))
        place.execute(statement)
        run(tmp_path, numbers, place.sink(batch_column=None))
        assert place.rows("SELECT id FROM target ORDER BY id") == [(n,) for n in range(95)]
    place.execute("DELETE FROM target WHERE id = 50")
    with pytest.raises(SinkNotUsable, match="has 94 rows, but 95 were delivered") as caught:
        run(tmp_path, numbers, place.sink(batch_column=None))
    assert "Empty the table" in caught.value.hint


@pytest.mark.parametrize("place", [POSTGRESQL, "sqlite"], indirect=True)
def test_a_table_that_is_dropped_during_a_run_is_whole_after_the_next_one(tmp_path, place, numbers):
    sink = place.sink()
    opened = sink.next_batch_id

    def drops():
        found = opened()
        place.execute("DROP TABLE target")
        return found

    run(tmp_path, numbers[:50], sink)
    sink = place.sink()
    opened, sink.next_batch_id = sink.next_batch_id, drops
    with pytest.raises(SinkNotUsable, match="dropped or renamed during the run") as caught:
        run(tmp_path, numbers, sink)
    assert "Run again" in caught.value.hint
    run(tmp_path, numbers, place.sink())
    assert whole(place)


# --- one owner ----------------------------------------------------------------------------------------


def delivery(folder, name):
    part = folder / f"{name}.parquet"
    pl.DataFrame({"id": [1, 2], "of": [name, name]}).write_parquet(part)
    return [Delivery(0, f"attempt of {name}", part)]


def test_of_two_checkpoints_that_were_opened_on_one_table_the_second_is_refused(tmp_path, place):
    sinks = {name: place.sink() for name in ("first", "second")}
    for name, sink in sinks.items():
        sink.open(name)
        assert sink.next_batch_id() == 0
    sinks["first"].put(delivery(tmp_path, "first"))
    for step in (lambda: sinks["second"].put(delivery(tmp_path, "second")), lambda: sinks["second"].drop_from(0)):
        with pytest.raises(SinkNotUsable, match="filled by another checkpoint"):
            step()
    for sink in sinks.values():
        sink.close()
    assert place.rows('SELECT id, "of" FROM target ORDER BY id') == [(1, "first"), (2, "first")]


def test_of_checkpoints_that_deliver_at_the_same_moment_one_owns_the_table(tmp_path, place):
    names = ["a", "b", "c"]
    together = threading.Barrier(len(names))
    ended = {}

    def deliver(name, sink, what):
        together.wait(60)
        while name not in ended:
            try:
                sink.put(what)
                ended[name] = "delivered"
            except ConnectionError:
                continue  # as the engine does
            except SinkNotUsable as error:
                ended[name] = str(error)

    sinks = {name: place.sink() for name in names}
    for name, sink in sinks.items():
        sink.open(name)
    threads = [threading.Thread(target=deliver, args=(name, sinks[name], delivery(tmp_path, name))) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sink in sinks.values():
        sink.close()
    (owner,) = [name for name, how in ended.items() if how == "delivered"]
    assert all("filled by another checkpoint" in ended[name] for name in names if name != owner)
    assert place.rows('SELECT id, "of" FROM target ORDER BY id') == [(1, owner), (2, owner)]


@pytest.mark.parametrize("place", ["sqlite", "duckdb"], indirect=True)
def test_two_spellings_of_one_name_are_one_table(tmp_path, place, numbers):
    run(tmp_path, numbers, place.sink("target"))
    with pytest.raises(SinkNotUsable, match="filled by another checkpoint"):
        run(tmp_path / "other", numbers, place.sink("TARGET"))
    run(tmp_path, numbers, place.sink("Target"))
    assert whole(place)


# --- rows that the table doesn't keep -----------------------------------------------------------------

DROPS_ODD_ROWS = {
    "postgresql": [
        """CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.id % 2 = 1 THEN RETURN NULL; END IF; RETURN NEW; END'""",
        "CREATE TRIGGER odd BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION odd()",
    ],
    "sqlite": ["CREATE TRIGGER odd BEFORE INSERT ON target WHEN NEW.id % 2 = 1 BEGIN SELECT RAISE(IGNORE); END"],
}
TAKES_THE_BATCH = {
    "postgresql": [
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.batch_id := NULL; RETURN NEW; END'",
        "CREATE TRIGGER odd BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION odd()",
    ],
    "sqlite": ["CREATE TRIGGER odd AFTER INSERT ON target BEGIN UPDATE target SET batch_id = NULL; END"],
}


@pytest.mark.parametrize("batch_column", ["batch_id", None])
@pytest.mark.parametrize("place", [POSTGRESQL, "sqlite"], indirect=True)
def test_a_trigger_that_drops_rows_fails_the_batch_loudly(tmp_path, place, numbers, batch_column):
    place.execute("CREATE TABLE target (id BIGINT, value BIGINT, batch_id BIGINT)")
    for statement in DROPS_ODD_ROWS[place.kind]:
        place.execute(statement)
    with pytest.raises(SinkNotUsable, match="kept 5 of the 10 rows of batch 0") as caught:
        run(tmp_path, numbers, place.sink(batch_column=batch_column))
    assert "trigger" in caught.value.hint
    assert place.rows("SELECT count(*) FROM target") == [(0,)]


@pytest.mark.parametrize("place", [POSTGRESQL, "sqlite"], indirect=True)
def test_a_trigger_that_changes_the_batch_of_rows_fails_it_too(tmp_path, place, numbers):
    place.execute("CREATE TABLE target (id BIGINT, value BIGINT, batch_id BIGINT)")
    for statement in TAKES_THE_BATCH[place.kind]:
        place.execute(statement)
    with pytest.raises(SinkNotUsable, match="kept 0 of the 10 rows of batch 0"):
        run(tmp_path, numbers, place.sink())
    assert place.rows("SELECT count(*) FROM target") == [(0,)]
