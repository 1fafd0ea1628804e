"""What docs/object-storage.md shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from shell import batch_pipeline

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "object-storage.md").read_text(encoding="utf-8")


def test_the_example_puts_the_flights_into_a_bucket(tmp_path, bucket):
    (text,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "to_s3.py").write_text(text, encoding="utf-8")
    (tmp_path / "sample_data").symlink_to(TOP / "sample_data")
    url = f"{bucket}/flights"
    batch_pipeline(tmp_path, "run", "to_s3.py", FLIGHTS_URL=url)
    (query,) = re.findall(r'results sql "(.*)"', PAGE)
    answer = batch_pipeline(tmp_path, "results", "sql", query, "to_s3.py", "--csv", FLIGHTS_URL=url)
    assert answer.splitlines()[-1] == "327346"
    shown = batch_pipeline(tmp_path, "status", "to_s3.py", FLIGHTS_URL=url)
    assert f"in {url}" in shown
    assert sorted(path.name for path in (tmp_path / "checkpoints" / "to_s3").iterdir() if "wal" not in path.name) == [
        "checkpoint.duckdb",
        "checkpoint.location.json",
        "checkpoint.lock",
        "frontier.json",
    ]
