"""A database: how to connect, its name on a screen, and after which of its errors another try may succeed."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from engine.errors import SourceNotFound, UsageError
from engine.sql.session import settings_of_ours
from engine.text.masking import keep_password_of, keep_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRIVERS = {
    "postgresql": "pip install 'batchpipe-tui[postgres]', and write postgresql:// or postgresql+psycopg://",
    "mysql": "pip install 'batchpipe-tui[mysql]', and write mysql+pymysql://",
    "mariadb": "pip install 'batchpipe-tui[mysql]', and write mariadb+pymysql://",
}

_OTHER_NAMES = {
    "postgres": "Write postgresql:// instead of postgres://.",
    "duckdb": "Read the tables of a DuckDB file with a fetcher of your own, or write them to Parquet and read that.",
}
"""What to do about kinds of databases that SQLAlchemy doesn't know."""

# SQLSTATE: connection exceptions; serialization failure and deadlock; too many connections; server shutting down,
# crashed, starting up. (PostgreSQL documentation, appendix A "Error Codes".)
_TRANSIENT_STATES = ("08", "40001", "40P01", "53300", "57P01", "57P02", "57P03")


class ConnectionLost(ConnectionError):
    """The database can't be reached, or the connection broke: another try with a new connection may succeed."""


class QueryFailed(Exception):
    """The database refused a statement; another try won't help."""


class Database:
    """The database of a URL or of a SQLAlchemy engine. It connects at the first call of `connect`.

    Raises:
        UsageError: the URL is wrong, the kind of database is unknown, or its driver isn't installed.
    """

    def __init__(self, url_or_engine: str | sa.URL | sa.Engine) -> None:
        self.given_engine = isinstance(url_or_engine, sa.Engine)
        """Whether the user passed an engine, which may have settings that aren't in its URL."""
        if isinstance(url_or_engine, sa.Engine):
            self.engine = url_or_engine
        else:
            self.engine = _engine(url_or_engine)
        self.url = self.engine.url
        self._may_make_file = False
        # A password that is also the name of the user or the database can't be masked without masking that as well.
        if self.url.password not in {self.url.username, self.url.database, self.url.host}:
            keep_secret(self.url.password)
        if isinstance(url_or_engine, str):
            keep_password_of(url_or_engine)

    def __getstate__(self) -> dict[str, object]:
        """Return the URL, for another process; the settings of a user's engine can't be sent."""
        if self.given_engine:
            raise TypeError(
                "a SQLAlchemy engine can't be sent to other processes; give the URL of the database instead"
            )
        return {"url": self.url}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"])  # type: ignore[misc]

    @property
    def kind(self) -> str:
        """Return SQLAlchemy's name for the kind of database: postgresql, sqlite, mysql and so on."""
        return self.engine.dialect.name

    @property
    def label(self) -> str:
        """Return kind, host and name, without user or password."""
        url = self.url
        if self.kind == "sqlite":
            return f"sqlite:{url.database or ':memory:'}"
        host = url.host or url.query.get("host", "")
        port = f":{url.port}" if url.port else ""
        return f"{self.kind}://{host}{port}/{url.database or ''}"

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Yield a connection from the pool, for one transaction, which is rolled back at the end unless committed.

        Raises:
            ConnectionLost: the database can't be reached, or the connection broke in the block.
            QueryFailed: the database refused a statement.
            SourceNotFound: the SQLite file doesn't exist.
        """
        self._require_file()
        with self.translated(), self.engine.connect() as connection, settings_of_ours(connection):
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection as `connect` does, and commit at the end unless the block raises."""
        with self.connect() as connection:
            yield connection
            connection.commit()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise errors of drivers in the block as `ConnectionLost` or `QueryFailed`."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            text = " ".join(str(error.orig).split())
            if _is_transient(error):
                raise ConnectionLost(f"{self.label}: {text}") from error
            raise QueryFailed(f"{self.label}: {text}") from error
        except sa.exc.SQLAlchemyError as error:
            raise QueryFailed(f"{self.label}: {' '.join(str(error).split())}") from error

    def make_file(self) -> None:
        """Allow the next connection to create a missing SQLite file, for writing."""
        self._may_make_file = True

    def close(self) -> None:
        """Close the connections of the pool, unless it is of a user's engine. `connect` opens new ones."""
        if not self.given_engine:
            self.engine.dispose()

    def _require_file(self) -> None:
        # A connection to a missing SQLite file would create it.
        name = self.url.database
        if self._may_make_file:
            return
        if self.kind == "sqlite" and name and not name.startswith((":", "file:")) and not Path(name).is_file():
            raise SourceNotFound(
                f"there is no SQLite file {name}", hint=f"Check the name; a relative one is looked up in {Path.cwd()}."
            )


def _engine(url: str | sa.URL) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # Not chained: the error repeats what it parsed as the port, which may be a part of the password.
        raise UsageError(
            "the database URL can't be read",
            hint="Write dialect://user:password@host:port/name; in the password, @ : / % are written %40 %3A %2F %25.",
        ) from None
    try:
        return sa.create_engine(parsed)
    except sa.exc.NoSuchModuleError as error:
        hint = _OTHER_NAMES.get(
            parsed.drivername, "Kinds are postgresql, sqlite, mysql, mariadb, and those of drivers."
        )
        raise UsageError(f"databases of the kind {parsed.drivername} aren't supported", hint=hint) from error
    except ModuleNotFoundError as error:
        name = parsed.get_backend_name()
        raise UsageError(
            f"the driver for {name} databases is not installed: there is no module {error.name}",
            hint=f"Install it: {_DRIVERS.get(name, f'pip install {error.name}')}",
        ) from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"the database URL of {parsed.render_as_string()} can't be used: {error}") from error


def _is_transient(error: sa.exc.DBAPIError) -> bool:
    state = sqlstate(error.orig)
    if state:
        return is_transient_state(state)
    if error.connection_invalidated:
        return True
    # Without a state the server didn't run it: the connection was refused, timed out, or broke. SQLite never has one.
    busy = "database is locked" in str(error.orig)
    return isinstance(error, sa.exc.OperationalError) and (busy or "sqlite" not in type(error.orig).__module__)


def is_transient_state(state: str) -> bool:
    """Return whether the statement may succeed on a new connection after an error with this SQLSTATE."""
    return state.startswith(_TRANSIENT_STATES)


def literal_sql(statement: sa.Select[Any], dialect: sa.Dialect) -> str:
    """Return the statement as text with its values written into it, quoted by SQLAlchemy."""
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    # For drivers that format parameters into the text, each % is doubled; no driver formats this text.
    return sql.replace("%%", "%") if dialect.paramstyle in {"format", "pyformat"} else sql


def sqlstate(error: Any) -> str:
    """Return the SQLSTATE of a driver's error, empty if it has none."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
