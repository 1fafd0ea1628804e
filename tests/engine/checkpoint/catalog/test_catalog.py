from __future__ import annotations

import gc
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from engine.checkpoint.catalog.catalog import FORMAT, Catalog, _batch_row, connect, load_queries
from engine.checkpoint.catalog.head import CatalogHead
from engine.checkpoint.parts.manifest import Manifest, StepTiming


@pytest.fixture
def catalog(tmp_path):
    opened = Catalog(tmp_path / "catalog.duckdb", new=True)
    opened.create("k" * 32)
    yield opened
    opened.close()


def batch(batch_id, **fields):
    defaults = {"bytes_written": 1, "checksum": "0" * 8}
    return Manifest(batch_id, batch_id * 10, batch_id * 10 + 9, 10, 1, 0, f"{batch_id:02x}", **(defaults | fields))


def add(catalog, *manifests):
    with catalog.transaction():
        catalog.append_batches(manifests, datetime.now(UTC))


def test_every_query_has_a_name_and_every_name_is_used():
    source = Path(load_queries.__code__.co_filename).read_text()
    queries = load_queries()
    assert len(queries) > 10
    for name, query in queries.items():
        assert f'"{name}"' in source, name
        assert query, name


def test_a_new_catalog_stands_at_the_start(catalog):
    assert catalog.identity() == (FORMAT, "k" * 32)
    assert catalog.head() == CatalogHead(0, 0, 0)
    assert catalog.pipeline() is None


def test_batches_come_back_as_they_were(catalog):
    full = batch(
        0,
        attempts=3,
        fetch_seconds=0.5,
        write_seconds=0.25,
        timings=(StepTiming(("a", "b"), 1.5, 10, 9), StepTiming(("c",), 0.5)),
        cursor={"key": [1, "x", None], "o": {}},
        states={"sum": 45, "seen": []},
    )
    add(catalog, full, batch(1))
    assert catalog.batches(0, 1) == [full, batch(1)]
    assert catalog.count_batches() == (2, 1, 20)


def test_empty_cursors_and_states_are_not_taken_for_none(catalog):
    add(catalog, batch(0, cursor={}, states={}), batch(1, cursor=None, states=None))
    first, second = catalog.batches(0, 1)
    assert (first.cursor, first.states) == ({}, {})
    assert (second.cursor, second.states) == (None, None)


def test_both_ends_of_a_range_of_batches_are_in_it(catalog):
    add(catalog, *(batch(batch_id) for batch_id in range(5)))
    assert [manifest.batch_id for manifest in catalog.batches(1, 3)] == [1, 2, 3]
    assert catalog.batches(7, 9) == []


def test_the_frontier_moves_only_from_where_it_is_said_to_be(catalog):
    assert catalog.advance(CatalogHead(0, 0, 0), next_batch_id=1, next_row=10)
    assert not catalog.advance(CatalogHead(0, 0, 0), next_batch_id=2, next_row=20)
    assert not catalog.advance(CatalogHead(1, 11, 0), next_batch_id=2, next_row=20)
    assert catalog.head() == CatalogHead(1, 10, 0)


def test_what_raises_inside_a_transaction_undoes_all_of_it(catalog):
    def half_done():
        with catalog.transaction():
            catalog.append_batches([batch(0)], datetime.now(UTC))
            catalog.advance(CatalogHead(0, 0, 0), next_batch_id=1, next_row=10)
            raise KeyError

    with pytest.raises(KeyError):
        half_done()
    assert catalog.batches(0, 9) == []
    assert catalog.head() == CatalogHead(0, 0, 0)
    add(catalog, batch(0))
    assert len(catalog.batches(0, 9)) == 1


def test_a_rewind_begins_an_epoch(catalog):
    add(catalog, batch(0), batch(1))
    with catalog.transaction():
        catalog.rewind(next_batch_id=1, next_row=10)
    assert catalog.head() == CatalogHead(1, 10, 1)
    assert [manifest.batch_id for manifest in catalog.batches(0, 9)] == [0]


@pytest.mark.parametrize(
    "nonsense",
    [
        batch(-1),
        batch(0, attempts=0),
        batch(0, bytes_written=0),
        batch(0, checksum="short"),
        Manifest(0, 10, 8, 10, 1, 0, "ab", bytes_written=1, checksum="0" * 8),
        Manifest(0, 0, 9, -1, 1, 0, "ab", bytes_written=1, checksum="0" * 8),
    ],
    ids=["negative id", "no attempt", "no bytes", "no checksum", "ends before it starts", "negative rows"],
)
def test_nonsense_is_refused_by_the_tables_themselves(catalog, nonsense):
    with pytest.raises(duckdb.Error):
        add(catalog, nonsense)
    assert catalog.head() == CatalogHead(0, 0, 0)


@pytest.mark.parametrize(
    "statement", ["INSERT INTO runs VALUES (1, now(), NULL, 'paused', 0, NULL, NULL, 1, '', 1, '', NULL)"]
)
def test_an_outcome_that_does_not_exist_is_refused(catalog, statement):
    with pytest.raises(duckdb.ConstraintException):
        catalog._connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SET enable_external_access = true",
        "SET wal_autocheckpoint = '1KB'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "ATTACH '/tmp/other.duckdb'",
    ],
)
def test_nothing_reaches_beyond_the_catalog(catalog, statement):
    with pytest.raises(duckdb.Error):
        catalog._connection.execute(statement)


def test_closing_makes_no_checkpoint(tmp_path):
    path = tmp_path / "c.duckdb"
    connection = connect(path, new=True)
    connection.execute("CREATE TABLE t (x INTEGER)")
    connection.close()
    assert path.with_name("c.duckdb.wal").stat().st_size > 0


@pytest.mark.filterwarnings("error")
def test_rows_of_a_transaction_that_was_undone_do_not_come_along_with_the_next(catalog):
    def cut_off():
        with catalog.transaction():
            appender = catalog._connection.appender("batches")
            catalog._new_batches = appender
            appender.append_rows([(*_batch_row(batch(7)), datetime.now(UTC))])  # and no flush
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    gc.collect()
    add(catalog, batch(0))
    assert [manifest.batch_id for manifest in catalog.batches(0, 9)] == [0]
