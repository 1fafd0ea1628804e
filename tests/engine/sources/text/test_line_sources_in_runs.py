"""Files of lines in whole runs: bad lines in quarantine and back, and files that change between runs."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

from engine import BatchPipeline, FixedWidthFetcher, NdjsonFetcher, Quarantine
from engine.errors import SourceChanged

pytestmark = pytest.mark.integration


class Ndjson:
    suffix = ".ndjson"

    def fetcher(self, source):
        return NdjsonFetcher(source, dtypes={"n": pl.Int64, "t": pl.String})

    def line(self, number, text=None):
        return f'{{"n":{number},"t":"{text or number}"}}\n'

    def bad(self, number):
        return f'{{"n":"x{number}"}}\n'


class FixedWidth:
    suffix = ".txt"

    def fetcher(self, source):
        return FixedWidthFetcher(source, [("n", 4), ("t", 4)], dtypes={"n": pl.Int64}, short_lines="null")

    def line(self, number, text=None):
        return f"{number:>4}{text or number:<4}\n"

    def bad(self, number):
        return f"x{number:>3}{number:<4}\n"


@pytest.fixture(params=[Ndjson(), FixedWidth()], ids=["ndjson", "fixed width"])
def form(request):
    return request.param


def pipeline(tmp_path, form, source, **options):
    return BatchPipeline([], form.fetcher(source), 7, tmp_path / "ck", workers=2, **options)


def numbers(run):
    return run.collect_results()["n"].to_list()


def test_bad_lines_go_into_quarantine_and_come_back_to_their_places(tmp_path, form):
    path = tmp_path / f"a{form.suffix}"
    bad = {0, 6, 7, 29}
    path.write_text("".join(form.bad(n) if n in bad else form.line(n) for n in range(30)))
    options = {"on_error": Quarantine(max_rows=None, max_fraction=None)}
    run = pipeline(tmp_path, form, path, **options)
    run.run()
    assert numbers(run) == [n for n in range(30) if n not in bad]
    assert [row.source_row for row in run.quarantine.rows()] == sorted(bad)
    path.write_text("".join(form.line(n) for n in range(30)))
    assert run.quarantine.replay().rows == len(bad)
    assert numbers(run) == list(range(30))


def test_rows_that_are_appended_between_runs_are_read(tmp_path, form):
    path = tmp_path / f"a{form.suffix}"
    path.write_text("".join(map(form.line, range(10))))
    pipeline(tmp_path, form, path).run()
    with path.open("a") as file:
        file.write("\n" + "".join(map(form.line, range(10, 30))))
    run = pipeline(tmp_path, form, path)
    run.run()
    assert numbers(run) == list(range(30))


def test_a_last_line_that_is_continued_later_is_read_again(tmp_path, form):
    path = tmp_path / f"a{form.suffix}"
    content = "".join(map(form.line, range(10)))
    whole = form.line(10, "long")
    # Half of a JSON line can't be read, so the first run takes the line without its end.
    cut = whole[:-1] if form.suffix == ".ndjson" else whole[:6]
    path.write_text(content + cut)
    run = pipeline(tmp_path, form, path)
    run.run()
    assert len(numbers(run)) == 11
    path.write_text(content + whole + form.line(11))
    run = pipeline(tmp_path, form, path)
    run.run()
    assert run.collect_results()["t"].to_list() == [*map(str, range(10)), "long", "11"]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("change", ["replaced", "cut", "grown though finished", "gone"])
def test_a_file_that_changed_before_the_frontier_is_refused(tmp_path, form, change, packed):
    folder = tmp_path / "data"
    folder.mkdir()
    suffix = form.suffix + ".gz" * packed

    def write(name, rows, text=None):
        content = "".join(form.line(n, text) for n in rows).encode()
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(content) if packed else content)

    write("a", range(20))
    write("b", range(20, 40))
    pipeline(tmp_path, form, folder).run()
    if change == "replaced":
        write("b", range(20, 60), "x")
    elif change == "cut":
        write("b", range(20, 30))
    elif change == "grown though finished":
        write("a", range(25))
    else:
        (folder / f"b{suffix}").unlink()
    run = pipeline(tmp_path, form, folder)
    with pytest.raises(SourceChanged):
        run.run()
    assert numbers(run) == list(range(40))
