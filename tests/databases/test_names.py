"""Names and conditions as people have them: quotes, spaces, capitals and whatever else means something in SQL."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sql_sources import SqliteTables, read, values

from engine import SqlFetcher
from engine.errors import SourceNotFound

NAMES = [
    "Order Lines",
    'say "hi"',
    '"; DROP TABLE x; --',
    "100%",
    "%s",
    "%(id)s",
    "a:b",
    ":id",
    "f(x)",
    "it's",
    "SELECT",
    "ä",
    "\\",
]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("name", [*NAMES, "a.b", "."])
def test_a_table_and_its_columns_may_have_any_name(shared, tmp_path, path, name):
    sqlite = SqliteTables(tmp_path / "names.db")
    for tables in (shared, sqlite):
        table, column = quoted(f"t {name}"), quoted(name)
        tables.execute(
            f"DROP TABLE IF EXISTS {table}",
            f"CREATE TABLE {table} ({column} integer NOT NULL, b text NOT NULL, PRIMARY KEY (b, {column}))",
            f"INSERT INTO {table} VALUES (1, 'x'), (2, 'x'), (3, 'x')",
        )
        assert values(SqlFetcher(tables.sources()[path], f"t {name}"), name, 1) == [1, 2, 3]
        query = SqlFetcher(tables.sources()[path], query=f"SELECT * FROM {table}", key=["b", name])
        assert values(query, name, 2) == [1, 2, 3]
    sqlite.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_may_have_any_name(shared, path, name):
    shared.execute(
        f"DROP SCHEMA IF EXISTS {quoted(name)} CASCADE",
        f"CREATE SCHEMA {quoted(name)}",
        f"CREATE TABLE {quoted(name)}.t AS SELECT i AS id FROM generate_series(1, 3) i",
        f"ALTER TABLE {quoted(name)}.t ADD PRIMARY KEY (id)",
    )
    source = shared.sources()[path]
    assert values(SqlFetcher(source, f"{name}.t"), "id", 2) == [1, 2, 3]
    assert values(SqlFetcher(source, "t", schema=name), "id", 2) == [1, 2, 3]


@pytest.fixture
def words(shared):
    shared.execute(
        "DROP TABLE IF EXISTS words",
        "CREATE TABLE words (id integer PRIMARY KEY, word text)",
        "INSERT INTO words VALUES (1, '100%'), (2, ':a'), (3, 'it''s'), (4, '%s')",
        "INSERT INTO words VALUES (5, 'C:\\:x'), (6, ':smile:'), (7, NULL)",
    )
    return shared


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("word LIKE '100%'", [1]),
        ("word = ':a' OR word = '%s'", [2, 4]),
        ("word = 'C:\\:x' OR word = ':smile:'", [5, 6]),
        ("id % 2 = 1 -- the odd ones", [1, 3, 5, 7]),
        ("id::text = '3'", [3]),
        (sa.column("word").in_(["it's", "%s"]), [3, 4]),
        (sa.text("word = :a").bindparams(a="100%"), [1]),
        ("word IS NULL", [7]),
        ("id > 100", []),
    ],
    ids=range(9),
)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_condition_leaves_rows_out(words, path, where, ids, size):
    assert values(SqlFetcher(words.sources()[path], "words", where=where), "id", size) == ids
    as_query = SqlFetcher(words.sources()[path], query="SELECT * FROM words", key="id", where=where)
    assert values(as_query, "id", size) == ids


@pytest.mark.parametrize(
    "condition", ["word LIKE '100%'", "word = ':a'", "word = ':smile:' /* 12:30 %s */", "word = 'C:\\:x'"]
)
def test_a_query_is_sent_word_for_word(words, path, condition):
    query = f"SELECT id, word FROM words WHERE {condition};\n"
    whole = words.column(f"SELECT id FROM words WHERE {condition}")
    assert values(SqlFetcher(words.sources()[path], query=query, key="id"), "id") == whole
    assert len(whole) == 1


def test_columns_are_read_in_the_order_asked_for_and_the_key_need_not_be_among_them(words, path):
    source = words.sources()[path]
    assert read(SqlFetcher(source, "words", columns=["word"])).columns == ["word"]
    assert read(SqlFetcher(source, "words", columns=["word", "id"]), 2).columns == ["word", "id"]
    assert values(SqlFetcher(source, "words", columns=["word"]), "word", 1)[:3] == ["100%", ":a", "it's"]


def test_a_table_that_is_not_there_is_told_with_one_of_a_like_name(words, path):
    for name, hint in [("wrods", "Did you mean words?"), ("public.wrods", "Did you mean words?")]:
        with pytest.raises(SourceNotFound, match="there is no table or view 'wrods'") as caught:
            read(SqlFetcher(words.sources()[path], name))
        assert caught.value.hint == hint
    with pytest.raises(SourceNotFound, match="no table or view 't' in schema 'nowhere'"):
        read(SqlFetcher(words.sources()[path], "nowhere.t"))


def test_in_sqlite_too_a_missing_table_is_told(sqlite, path):
    for name in ("t", "nowhere.t"):
        with pytest.raises(SourceNotFound, match="there is no table or view 't'"):
            read(SqlFetcher(sqlite.sources()[path], name))


@pytest.mark.parametrize("kind", ["MATERIALIZED VIEW", "TABLE partitioned"])
def test_other_kinds_of_tables_are_read_as_well(shared, path, kind):
    shared.execute("DROP MATERIALIZED VIEW IF EXISTS kinds", "DROP TABLE IF EXISTS parted")
    if kind == "MATERIALIZED VIEW":
        shared.execute("CREATE MATERIALIZED VIEW kinds AS SELECT i AS id FROM generate_series(1, 5) i")
        fetcher = SqlFetcher(shared.sources()[path], "kinds", key="id")
    else:
        shared.execute(
            "CREATE TABLE parted (id integer PRIMARY KEY) PARTITION BY HASH (id)",
            "CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
            "INSERT INTO parted SELECT generate_series(1, 5)",
        )
        fetcher = SqlFetcher(shared.sources()[path], "parted")
    assert values(fetcher, "id", 2) == [1, 2, 3, 4, 5]
