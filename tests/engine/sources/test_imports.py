from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.integration
def test_importing_the_fetchers_loads_neither_polars_nor_duckdb():
    code = (
        "import sys; from engine import CsvFetcher, FrameFetcher, ParquetFetcher, SqlFetcher;"
        "print(sorted({'polars', 'duckdb', 'pyarrow'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
