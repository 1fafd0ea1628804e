"""Values that are written into a statement come back as they were: ADBC's COPY takes no parameters."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.sql.database import Database
from engine.sql.reading import literal_sql

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("'\"\\%:;-() s"), max_size=12)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(text=TEXTS)
def test_any_text_comes_back_from_postgres(shared, text):
    sql = literal_sql(sa.select(sa.literal(text)), Database(shared.engine).engine.dialect)
    assert shared.column(sql) == [text]


@settings(deadline=None, max_examples=200)
@given(text=TEXTS)
def test_any_text_comes_back_from_sqlite(text):
    sql = literal_sql(sa.select(sa.literal(text)), Database("sqlite://").engine.dialect)
    with closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute(sql).fetchall() == [(text,)]
