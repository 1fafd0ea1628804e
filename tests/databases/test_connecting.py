"""Databases that can't be reached or aren't there: what is said, and that the password never is."""

from __future__ import annotations

import traceback
from urllib.parse import quote, quote_plus

import pytest
import sqlalchemy as sa
from postgres_server import PASSWORD
from sql_sources import fetch_all

from engine import BatchPipeline, SqlFetcher
from engine.cli import main
from engine.errors import PipelineError, SourceNotFound, UsageError, describe
from engine.policy import NEVER
from engine.sql.database import ConnectionLost, QueryFailed
from engine.steps.base import BatchStep
from engine.testing import EventLog
from engine.text.exit_codes import ExitCode

FORMS = {PASSWORD, quote(PASSWORD, safe=""), quote_plus(PASSWORD), quote(PASSWORD), repr(PASSWORD)[1:-1]}


def without_password(text):
    for form in FORMS:
        assert form not in text
    return text


def failure(source, **arguments):
    with pytest.raises((PipelineError, ConnectionLost, QueryFailed)) as caught:
        fetch_all(SqlFetcher(source, **({"table": "t"} | arguments)))
    without_password(str(caught.value) + repr(caught.value))
    return caught.value


def in_kind(url, path):
    return sa.create_engine(url) if path == "engine" else url


def test_a_wrong_password_is_told(postgres, path):
    error = failure(in_kind(postgres.url().replace(quote(PASSWORD, safe=""), "wrong-one"), path))
    assert isinstance(error, ConnectionLost | QueryFailed)
    assert "password authentication failed for user" in str(error)
    assert "wrong-one" not in str(error)


def test_a_wrong_port_and_a_wrong_host_are_told(postgres, path):
    url = sa.make_url(postgres.url())
    error = failure(in_kind(url.set(port=1), path))
    assert isinstance(error, ConnectionLost)
    assert str(error).startswith("postgresql://127.0.0.1:1/postgres: ")
    assert "refused" in str(error)
    error = failure(in_kind(url.set(host="no-such-host.invalid"), path))
    assert isinstance(error, ConnectionLost)
    assert "no-such-host.invalid" in str(error)


def test_a_database_that_is_not_there_is_told(postgres, path):
    error = failure(in_kind(postgres.url("nowhere"), path))
    assert 'database "nowhere" does not exist' in str(error)


def test_a_table_that_is_not_there_is_told(shared, path):
    assert isinstance(failure(shared.sources()[path], table="t"), SourceNotFound)
    assert 'relation "t" does not exist' in str(
        failure(shared.sources()[path], table=None, query="SELECT * FROM t", key="id")
    )
    assert "syntax error" in str(failure(shared.sources()[path], table=None, query="SELEC 1", key="id"))


def test_an_sqlite_file_that_is_not_there_is_told_and_not_made(tmp_path, path):
    url = f"sqlite:///{tmp_path / 'nothing.db'}"
    assert isinstance(failure(in_kind(url, path)), SourceNotFound)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_sqlite_database_is_told(tmp_path, path):
    (tmp_path / "rows.db").write_bytes(b"no database at all" * 100)
    assert "file is not a database" in str(failure(in_kind(f"sqlite:///{tmp_path / 'rows.db'}", path)))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "can't be read"),
        (f"not a url {PASSWORD}", "can't be read"),
        (f"nosuchdb://u:{quote(PASSWORD, safe='')}@h/d", "databases of the kind nosuchdb aren't supported"),
        (f"postgresql://u:{PASSWORD}@h/d", "can't be read"),
        ("postgresql://u:secret-word@h:port/d", "can't be read"),
    ],
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url, said):
    with pytest.raises(UsageError, match=said) as caught:
        SqlFetcher(url, "t")
    without_password(str(caught.value) + caught.value.hint)
    assert "secret-word" not in str(caught.value)


def test_nothing_of_a_fetcher_shows_the_password(shared, path):
    shared.execute(
        "CREATE TABLE IF NOT EXISTS plain (id integer PRIMARY KEY)",
        "INSERT INTO plain VALUES (1) ON CONFLICT DO NOTHING",
    )
    fetcher = SqlFetcher(shared.sources()[path], "plain")
    _, cursors = fetch_all(fetcher)
    label = f"plain in postgresql://127.0.0.1:{sa.make_url(shared.url).port}/{shared.name}"
    assert fetcher.identity()["source"] == label
    without_password(f"{fetcher!r} {fetcher} {fetcher.identity()} {fetcher.route} {cursors}")


class Leak(BatchStep):
    """Raises with the URL in every form, as a careless driver would."""

    def __init__(self, url):
        super().__init__("leak")
        self.url = url

    def process(self, batch):
        if batch.batch_id == 1:
            raise ValueError(f"cannot use {self.url} nor {PASSWORD!r} nor {quote_plus(PASSWORD)}")
        return batch


@pytest.mark.parametrize("fault", ["step", "server", "wrong password"])
def test_a_run_leaves_no_trace_of_the_password(tables, tmp_path, caplog, capfd, path, fault):  # noqa: PLR0917
    tables.execute("CREATE TABLE t AS SELECT generate_series(1, 30) AS id", "ALTER TABLE t ADD PRIMARY KEY (id)")
    source = tables.sources()[path]
    if fault == "wrong password":
        source = in_kind(sa.make_url(tables.url).set(username="nobody"), path)
    fetcher = SqlFetcher(source, "t", where="1 / (id - 25) <> 7" if fault == "server" else None)
    fetcher.retry = NEVER
    log = EventLog()
    folder = tmp_path / "checkpoint"
    steps = [Leak(tables.url)] if fault == "step" else []
    pipeline = BatchPipeline(steps, fetcher, 10, folder, workers=1, listeners=[log])
    with pytest.raises(PipelineError) as caught:
        pipeline.run()
    error = caught.value
    shown = [describe(error), str(error), repr(error), error.hint, *map(repr, log.all())]
    shown += [repr(one) for one in (*pipeline.failures(), *pipeline.history(), pipeline.view())]
    for command in ("status", "history", "failures"):
        assert main([command, "--checkpoint-dir", str(folder)]) == (ExitCode.USAGE if fault == "wrong password" else 0)
    output = capfd.readouterr()
    assert ("failed" in output.out) == folder.exists() == (fault != "wrong password")  # with that no run begins
    without_password("\n".join([*shown, caplog.text, output.out, output.err]))
    for file in folder.rglob("*"):
        for form in FORMS if file.is_file() else ():
            assert form.encode() not in file.read_bytes(), file
    if fault != "step":  # a step's own error is what it is
        without_password("".join(traceback.format_exception(error)))
