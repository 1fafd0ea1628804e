from __future__ import annotations

import pytest
from sql_sources import PostgresTables, SqliteTables


@pytest.fixture(scope="module")
def shared(postgres):
    """A PostgreSQL database for all tests of a file, which give their tables different names."""
    tables = PostgresTables(postgres, postgres.new_database())
    yield tables
    tables.close()


@pytest.fixture
def tables(postgres, database):
    """An empty PostgreSQL database of the test's own."""
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
    """The name of each way to read: COPY for a URL (ADBC in SQLite), rows for an engine."""
    return request.param
