from __future__ import annotations

import pytest
from sql_sources import PostgresTables, SqliteTables


@pytest.fixture(scope="module")
def shared(postgres):
    """A PostgreSQL database for all tests of a file; each test uses its own table names."""
    tables = PostgresTables(postgres, postgres.new_database())
    yield tables
    tables.close()


@pytest.fixture
def tables(postgres, database):
    """An empty PostgreSQL database for one test."""
    tables = PostgresTables(postgres, database)
    yield tables
    tables.close()


@pytest.fixture
def sqlite(tmp_path):
    tables = SqliteTables(tmp_path / "rows.db")
    yield tables
    tables.close()


@pytest.fixture(params=["url", "engine"])
def path(request):
    """The argument that decides how rows are read: by COPY (in SQLite ADBC) for a URL, row by row for an engine."""
    return request.param
