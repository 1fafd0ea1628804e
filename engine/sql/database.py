"""One database: how to connect, what to call it on a screen, and which of its errors another try may mend."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from engine.errors import SourceNotFound, UsageError
from engine.text.masking import keep_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRIVERS = {"postgresql": "pip install 'batchpipe-tui[postgres]'"}

# Of SQLSTATE: connection exceptions; serialization failure and deadlock; too many connections; shutting down,
# crashed, starting up. (PostgreSQL documentation, appendix A "Error Codes".)
_TRANSIENT_STATES = ("08", "40001", "40P01", "53300", "57P01", "57P02", "57P03")


class ConnectionLost(ConnectionError):
    """The database couldn't be reached, or went away: another try, with a new connection, may well work."""


class QueryFailed(Exception):
    """What the database says against a statement; trying again won't help."""


class Database:
    """A database that a URL or a SQLAlchemy engine names. Connects when it is first asked to.

    Raises:
        UsageError: not a URL, an unknown kind of database, or its driver isn't installed.
    """

    def __init__(self, url_or_engine: str | sa.URL | sa.Engine) -> None:
        self.given_engine = isinstance(url_or_engine, sa.Engine)
        """Whether connections are made by somebody else's engine, with settings that its URL doesn't tell."""
        if isinstance(url_or_engine, sa.Engine):
            self.engine = url_or_engine
        else:
            self.engine = _engine(url_or_engine)
        self.url = self.engine.url
        self._may_make_file = False
        # A password that is also the user's or the database's name can't be hidden without hiding those.
        if self.url.password not in {self.url.username, self.url.database, self.url.host}:
            keep_secret(self.url.password)

    def __getstate__(self) -> dict[str, object]:
        """Send the URL to another process; what an engine may do besides can't be sent."""
        if self.given_engine:
            raise TypeError("a SQLAlchemy engine can't be sent to other processes; name the database by a URL")
        return {"url": self.url}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"])  # type: ignore[misc]

    @property
    def kind(self) -> str:
        """Return SQLAlchemy's name for the kind of database: postgresql, sqlite, mysql and so on."""
        return self.engine.dialect.name

    @property
    def label(self) -> str:
        """Return what to call it: kind, host and name, without user or password."""
        url = self.url
        if self.kind == "sqlite":
            return f"sqlite:{url.database or ':memory:'}"
        host = url.host or url.query.get("host", "")
        port = f":{url.port}" if url.port else ""
        return f"{self.kind}://{host}{port}/{url.database or ''}"

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Hold a connection from the pool; what is begun in it and not committed is rolled back.

        Raises:
            ConnectionLost: it can't be reached, or went away in the block.
            QueryFailed: it refuses a statement.
            SourceNotFound: an SQLite file that isn't there.
        """
        self._require_file()
        with self.translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Tell what drivers raise in the block as `ConnectionLost` or `QueryFailed`."""
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
        """Let an SQLite file that isn't there be made by the next connection, for what is written rather than read."""
        self._may_make_file = True

    def close(self) -> None:
        """Close the connections of the pool, unless it belongs to somebody else. It opens new ones when asked."""
        if not self.given_engine:
            self.engine.dispose()

    def _require_file(self) -> None:
        # Connecting to an SQLite file that isn't there would make it.
        name = self.url.database
        if self._may_make_file:
            return
        if self.kind == "sqlite" and name and not name.startswith((":", "file:")) and not Path(name).is_file():
            raise SourceNotFound(f"there is no SQLite file {name}", hint=f"The folder looked in is {Path.cwd()}.")


def _engine(url: str | sa.URL) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # Not chained: the error repeats what it took for the port, and that may be a piece of the password.
        raise UsageError(
            "the database URL can't be read",
            hint="Write dialect://user:password@host:port/name; in the password, @ : / % are written %40 %3A %2F %25.",
        ) from None
    try:
        return sa.create_engine(parsed)
    except sa.exc.NoSuchModuleError as error:
        raise UsageError(f"there is no support for {parsed.drivername} databases here") from error
    except ModuleNotFoundError as error:
        name = parsed.get_backend_name()
        raise UsageError(
            f"the driver for {name} databases is not installed: no module {error.name}",
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
    # Without a state it never reached the server's SQL: it was refused, timed out, or was cut. SQLite has none at all.
    busy = "database is locked" in str(error.orig)
    return isinstance(error, sa.exc.OperationalError) and (busy or "sqlite" not in type(error.orig).__module__)


def is_transient_state(state: str) -> bool:
    """Say whether an error of this SQLSTATE may be gone when the statement is tried again on a new connection."""
    return state.startswith(_TRANSIENT_STATES)


def literal_sql(statement: sa.Select[Any], dialect: sa.Dialect) -> str:
    """Return the statement as text with its values written into it, quoted by SQLAlchemy."""
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    # For a driver that formats parameters into the text each % is doubled; there is nobody here to undouble it.
    return sql.replace("%%", "%") if dialect.paramstyle in {"format", "pyformat"} else sql


def sqlstate(error: Any) -> str:
    """Return the SQLSTATE of a driver's error, empty where it tells none."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
