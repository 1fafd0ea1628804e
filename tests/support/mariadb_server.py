"""A MariaDB server for the tests: on a loopback port, with its data in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

from postgres_server import wait_until

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = ("mariadbd", "mariadb-install-db")
"""Debian and Ubuntu have them in the packages mariadb-server-core and mariadb-client-core."""


def program(name: str) -> str | None:
    """Return the path of a program of the server, None if it isn't installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class MariadbServer:
    """A server with its data in `folder`, which must not exist, between `start` and `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _user(self) -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []

    def start(self) -> None:
        install = ["--no-defaults", f"--datadir={self.folder / 'data'}", "--auth-root-authentication-method=normal"]
        subprocess.run(
            [str(program("mariadb-install-db")), *install, "--skip-test-db", *self._user],
            check=True,
            capture_output=True,
        )
        # Settings that a sink or a source must not depend on.
        options = [
            "--sql-mode=",
            "--default-time-zone=+05:30",
            "--character-set-server=latin1",
            "--lc-time-names=de_DE",
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(program("mariadbd")), "--no-defaults", f"--datadir={self.folder / 'data'}",
                    f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.folder / 'socket'}",
                    "--innodb-flush-log-at-trx-commit=0", *options, *self._user,
                ],
                stdout=log,
                stderr=log,
            )  # fmt: skip
        wait_until(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)

    def connect(self, database: str | None = None):
        import pymysql

        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True)

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        return f"mariadb+pymysql://root@127.0.0.1:{self.port}/{name}"

    def _answers(self) -> bool:
        import pymysql

        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True
