"""What docs/databases.md shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shell import batch_pipeline

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "databases.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def workplace(tmp_path):
    for text in blocks("python"):
        (tmp_path / text.split()[1]).write_text(text, encoding="utf-8")
    (tmp_path / "sample_data").symlink_to(TOP / "sample_data")
    return tmp_path


def test_the_example_on_postgresql_loads_the_flights_and_finds_the_late_ones(workplace, postgres):
    url = postgres.new_database()
    batch_pipeline(workplace, "run", "load.py", DATABASE_URL=url)
    with postgres.connect(url.rpartition("/")[2]) as connection:
        for statement in blocks("sql"):
            connection.execute(statement)
        batch_pipeline(workplace, "run", "late.py", DATABASE_URL=url)
        count = "SELECT count(*), count(DISTINCT id), min(arr_delay) FROM late_flights"
        assert connection.execute(count).fetchone() == (77_630, 77_630, 16)
    shown = batch_pipeline(workplace, "status", "late.py", DATABASE_URL=url)
    assert "by COPY" in shown
    assert "state         finished" in shown


@pytest.mark.integration
def test_the_sample_on_sqlite_makes_its_database_on_first_use(tmp_path):
    sample = str(TOP / "sample_data" / "flights_sql.py")
    for _ in range(2):
        batch_pipeline(tmp_path, "run", sample, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (tmp_path / "cache" / "batchpipe-tui" / "flights.sqlite").exists()
    shown = batch_pipeline(tmp_path, "status", sample, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "336,776 rows done, 0 to go" in shown
    assert "77,630 rows" in shown
