"""Each row of the tables in docs/files.md, as a story of two runs; for plain files and for files packed by gzip."""

from __future__ import annotations

import gzip
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine import BatchPipeline, CsvFetcher
from engine.errors import SourceChanged, SourceError, SourceNotFound
from engine.events import Warned
from engine.sources.text import blocks
from engine.testing import EventLog

PAGE = (Path(__file__).parents[3] / "docs" / "files.md").read_text(encoding="utf-8")
TABLES = PAGE.partition("plain or compressed by gzip:")[2].partition("For Parquet")[0]
STORIES = {}


def story(*names):
    def register(function):
        STORIES.update(dict.fromkeys(names, function))
        return function

    return register


class Meddled(CsvFetcher):
    """Calls `before[batch_id]` before it fetches that batch."""

    def __init__(self, source, before):
        super().__init__(source)
        self.before = before

    def __call__(self, batch_id, batch_size):
        self.before.pop(batch_id, lambda: None)()
        return super().__call__(batch_id, batch_size)


def lines(start, stop, mark="t"):
    return "".join(f"{n},{mark}{n}\n" for n in range(start, stop))


@dataclass
class Desk:
    """A folder `data` with the files `a` (rows 0 to 19) and `b` (rows 20 to 39), and a pipeline that reads it."""

    top: Path
    packed: bool
    alone: bool = False

    def __post_init__(self):
        self.data = self.top / "data"
        self.data.mkdir()
        suffix = ".csv.gz" if self.packed else ".csv"
        self.a, self.b, self.c = (self.data / f"{name}{suffix}" for name in "abc")
        self.write(self.a, "n,text\n" + lines(0, 20))
        self.write(self.b, "n,text\n" + lines(20, 40))
        self.log = EventLog()

    def write(self, path, text):
        path.write_bytes(gzip.compress(text.encode()) if self.packed else text.encode())

    def append(self, path, text):
        with path.open("ab") as file:
            file.write(gzip.compress(text.encode()) if self.packed else text.encode())

    def age(self, path):
        """Let the file look as if it had been written an hour ago."""
        os.utime(path, (path.stat().st_atime - 3600,) * 2)

    def source(self):
        return str(self.b) if self.alone else f"{self.data}/*.csv*"

    def pipeline(self, **before):
        fetcher = Meddled(self.source(), {int(name.removeprefix("batch_")): call for name, call in before.items()})
        return BatchPipeline([], fetcher, 7, self.top / "ck", workers=1, listeners=[self.log])

    def run(self, *, accept_changes=False, **before):
        self.pipeline(**before).run(accept_changes=accept_changes)
        return self.rows()

    def rows(self):
        return self.pipeline().collect_results().rows()

    def warnings(self):
        return [event.message for event in self.log.of(Warned)]


def expected(start, stop):
    return [(n, f"t{n}") for n in range(start, stop)]


def refused(desk, kind=SourceChanged, match=None, **before):
    with pytest.raises(kind, match=match) as caught:
        desk.run(**before)
    assert caught.value.hint
    return caught.value


# --- between two runs -------------------------------------------------------------------------------


@story("rows were added at the end of the last file")
def grown(desk):
    desk.run()
    desk.append(desk.b, lines(40, 50))
    assert desk.run() == expected(0, 50)


@story("a new file sorts after the last one")
def one_more(desk):
    desk.run()
    desk.write(desk.c, "n,text\n" + lines(40, 50))
    assert desk.run() == expected(0, 50)


@story("the last line had no line end, and now it has one")
def ended(desk):
    desk.write(desk.b, "n,text\n" + lines(20, 40).removesuffix("\n"))
    assert desk.run() == expected(0, 40)
    desk.append(desk.b, "\n" + lines(40, 50))
    assert desk.run() == expected(0, 50)


@story("the last line had no line end, and was continued")
def continued(desk):
    desk.write(desk.b, "n,text\n" + lines(20, 40) + "40,t4")
    assert desk.run() == [*expected(0, 40), (40, "t4")]
    assert any("has no line end, and was read as a row" in warning for warning in desk.warnings())
    desk.append(desk.b, "0\n" + lines(41, 50))
    assert desk.run() == expected(0, 50)


@story("a line after the frontier was corrected")
def corrected(desk):
    desk.write(desk.b, "n,text\n" + lines(20, 35) + "oops,t35\n" + lines(36, 40))
    with pytest.raises(SourceError):
        desk.run()
    desk.write(desk.b, "n,text\n" + lines(20, 40))
    assert desk.run() == expected(0, 40)


@story("a file was copied, or only its time changed")
def copied(desk):
    desk.run()
    for path in (desk.a, desk.b):
        copy = path.rename(desk.top / "copy")
        path.write_bytes(copy.read_bytes())
        desk.age(path)
    desk.append(desk.b, lines(40, 50))
    assert desk.run() == expected(0, 50)


@story("the file was replaced by another one")
def replaced(desk):
    desk.run()
    desk.write(desk.b, "n,text\n" + lines(120, 180))
    refused(desk, match="was replaced or rewritten: its first .* bytes aren't those that were read")


@story("bytes before the frontier were changed")
def rewritten(desk):
    desk.run()
    desk.write(desk.b, "n,text\n" + lines(20, 40).replace("t25", "t26") + lines(40, 50))
    refused(desk, match="was replaced or rewritten")


@story("the file was cut")
def cut(desk):
    desk.run()
    desk.write(desk.b, "n,text\n" + lines(20, 38))
    refused(desk, match="was cut: .* bytes of it were read, and now it has")


@story("a file that was read whole grew")
def earlier_grew(desk):
    desk.run()
    desk.append(desk.a, lines(40, 50))
    error = refused(desk, match="which was read whole, has grown or was changed")
    assert desk.a.name in str(error)


@story("a file that was read whole is gone", "a new file sorts before the last one")
def other_files(desk):
    desk.run()
    desk.a.unlink()
    refused(desk, match="files were added before it, or removed")
    desk.write(desk.a, "n,text\n" + lines(0, 20))
    assert desk.run() == expected(0, 40)
    desk.write(desk.a.with_name("aa.csv"), "n,text\n" + lines(0, 20))
    refused(desk, match="is now file 3: files were added before it, or removed")


@story("the last file of a folder is gone")
def last_gone(desk):
    desk.run()
    desk.b.unlink()
    refused(desk, match=f"{desk.b.name}, which has the last committed row, is no longer a file of the source")


@story("the only file is gone")
def only_gone(desk):
    desk.alone = True
    desk.run()
    desk.b.unlink()
    refused(desk, SourceNotFound, match=f"{desk.b.name} doesn't exist")


@story("a file became a link to nowhere")
def dangling(desk):
    desk.run()
    desk.b.rename(desk.top / "moved")
    desk.b.symlink_to(desk.top / "nowhere")
    refused(desk, SourceNotFound, match=f"{desk.b} is a link to .*nowhere, which doesn't exist")


# --- while a run reads ------------------------------------------------------------------------------


@story("another process appends lines")
def appended(desk):
    seen = desk.run(batch_4=lambda: desk.append(desk.b, lines(40, 50)))
    assert seen == expected(0, 50)
    desk.append(desk.b, lines(50, 60))
    assert desk.run() == expected(0, 60)


@story("another process has written half of a line")
def half_written(desk):
    assert desk.run(batch_4=lambda: desk.append(desk.b, lines(40, 50) + "50,t5")) == expected(0, 50)
    assert any("its last line has no line end yet" in warning for warning in desk.warnings())
    desk.write(desk.c, "n,text\n" + lines(60, 70))
    desk.append(desk.b, "0\n" + lines(51, 60))
    assert desk.run() == expected(0, 70)


@story("the file is cut")
def cut_meanwhile(desk):
    refused(desk, match="was cut while it was read", batch_4=lambda: desk.write(desk.b, "n,text\n" + lines(20, 25)))
    refused(desk)


@story("the file is overwritten in place")
def overwritten(desk):
    text = "n,text\n" + lines(20, 40, "x")
    refused(desk, match="was overwritten or replaced while it was read", batch_4=lambda: desk.write(desk.b, text))


@story("another file gets its name")
def renamed_over(desk):
    other = desk.top / "other"
    desk.write(other, "n,text\n" + lines(20, 39) + "39,x39\n")
    refused(
        desk,
        match="was overwritten or replaced while it was read",
        batch_4=lambda: other.rename(desk.b),
    )


@story("the file is removed")
def removed(desk):
    refused(desk, match="was removed while it was read", batch_4=desk.b.unlink)


# --- the tables -------------------------------------------------------------------------------------


def test_each_row_of_the_tables_on_the_page_has_a_story():
    cells = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", TABLES, flags=re.MULTILINE)
    assert set(cells) - {"between two runs", "while a run reads the file"} == set(STORIES)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("aged", [False, True], ids=["fresh", "aged"])
@pytest.mark.parametrize("name", STORIES)
def test_files_that_change(tmp_path, monkeypatch, name, packed, aged):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 16)
    desk = Desk(tmp_path, packed)
    if aged:  # then the state of the files is trusted
        desk.age(desk.a)
        desk.age(desk.b)
    STORIES[name](desk)


def test_accepted_changes_continue_at_the_same_byte(tmp_path):
    desk = Desk(tmp_path, packed=False)
    desk.run()
    desk.append(desk.a, lines(40, 50))
    desk.write(desk.b, "n,text\n" + lines(20, 30) + lines(50, 70))
    refused(desk)
    assert desk.run(accept_changes=True) == [*expected(0, 40), *expected(60, 70)]
    assert desk.run() == [*expected(0, 40), *expected(60, 70)]
    desk.append(desk.b, lines(70, 80))
    assert desk.run() == [*expected(0, 40), *expected(60, 80)]
