"""Files in object storage: one by one, as the engine uses them."""

from __future__ import annotations

import io
import pickle
import zlib

import polars as pl
import pytest

from engine.errors import StorageUnavailable
from engine.storage import files, objects
from engine.storage.objects import ObjectPath


@pytest.fixture
def folder(bucket):
    return ObjectPath.parsed(bucket) / "some" / "flights"


def test_a_path_has_names_as_a_local_one():
    part = ObjectPath.parsed("s3://bucket/a/b/") / "part-0.parquet"
    assert part == "s3://bucket/a/b/part-0.parquet"
    assert (part.name, part.parent, part.bucket, part.key) == (
        "part-0.parquet",
        "s3://bucket/a/b",
        "s3://bucket",
        "a/b/part-0.parquet",
    )
    assert part.with_name("x") == "s3://bucket/a/b/x"
    assert ObjectPath.parsed("s3://bucket").key == ""
    assert type(pickle.loads(pickle.dumps(part))) is ObjectPath


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket/a",
        "/data/a",
        "s3://",
        "s3:///a",
        "http://bucket/a",
        "file:///a",
        "memory://a",
        "s3://user:secret@bucket/a",
        "s3://bucket/../a",
        "s3://bucket/a//b",
        "s3://bucket/a b",
        "s3://bucket/a*",
        "s3://bucket/a?x=1",
        "s3://bucket/.hidden",
    ],
)
def test_what_is_no_url_of_an_object_is_refused(url):
    with pytest.raises(ValueError, match="s3://bucket/folder"):
        ObjectPath.parsed(url)


def test_what_is_written_is_read(folder, tmp_path):
    path = folder / "a"
    assert not files.exists(path)
    size, checksum = files.write(path, lambda file: file.write(b"abc"))
    assert (size, checksum) == (3, f"{zlib.crc32(b'abc'):08x}")
    assert files.exists(path)
    assert files.size(path) == 3
    assert files.checksum(path) == checksum
    assert objects.get(path) == b"abc"
    with files.local(path) as copy:
        assert copy.read_bytes() == b"abc"
    assert not copy.exists()
    with files.local(tmp_path) as same:
        assert same == tmp_path


def test_what_must_be_new_leaves_what_is_there(folder):
    objects.put(folder / "a", b"first", new=True)
    objects.put(folder / "a", b"second", new=True)
    assert objects.get(folder / "a") == b"first"


def test_a_folder_lists_what_is_right_in_it(folder):
    assert list(files.names_in(folder)) == []
    for name in ("b", "a"):
        objects.put(folder / name, b"12")
    objects.put(folder / "deeper" / "c", b"")
    objects.put(folder.parent / "flights-2", b"")
    assert sorted(files.names_in(folder)) == ["a", "b"]
    assert sorted(files.sizes_in(folder)) == [("a", 2), ("b", 2)]


def test_many_are_listed_moved_and_deleted(folder):
    names = [f"{number:04d}" for number in range(1_003)]
    paths = [folder / name for name in names]
    for path in paths:
        objects.put(path, path.name.encode())
    assert sorted(files.names_in(folder)) == names
    moved = [folder / "moved" / name for name in names[:40]]
    files.move(zip(paths, moved, strict=False))
    assert [objects.get(path) for path in moved] == [name.encode() for name in names[:40]]
    assert sorted(files.names_in(folder)) == names[40:]
    files.delete(paths)
    assert list(files.names_in(folder)) == []


def test_a_move_replaces_what_is_there_and_can_be_repeated(folder):
    objects.put(folder / "new", b"new")
    objects.put(folder / "old", b"old")
    files.move([(folder / "new", folder / "old")])
    assert objects.get(folder / "old") == b"new"
    files.move([])


@pytest.mark.parametrize("comment", ["short", "x" * 200_000])
def test_a_footer_is_all_that_metadata_and_schema_need(folder, comment):
    frame = pl.DataFrame({"a": range(50_000), "b": [f"{number}" for number in range(50_000)]})
    file = io.BytesIO()
    frame.write_parquet(file, metadata={"comment": comment})
    objects.put(folder / "p", file.getvalue())
    footer = objects.parquet_footer(folder / "p")
    assert len(footer) < len(file.getvalue())
    assert pl.read_parquet_metadata(io.BytesIO(footer))["comment"] == comment
    assert pl.scan_parquet(io.BytesIO(footer)).collect_schema() == frame.schema


@pytest.mark.parametrize(
    "call",
    [
        files.size,
        files.checksum,
        objects.get,
        objects.parquet_footer,
        lambda path: files.local(path).__enter__(),
    ],
)
def test_what_is_not_there_is_told_as_that(folder, call):
    with pytest.raises(FileNotFoundError):
        call(folder / "nothing")


def test_a_missing_bucket_is_no_missing_file(bucket):
    nowhere = ObjectPath("s3://no-such-bucket-anywhere/a")
    for call in (objects.get, lambda path: objects.put(path, b""), lambda path: list(files.names_in(path))):
        with pytest.raises(StorageUnavailable, match="there is no such bucket") as error:
            call(nowhere)
        assert "<" not in str(error.value)


def test_an_unreachable_server_is_told_in_one_line(bucket, monkeypatch):
    monkeypatch.setattr(objects, "RETRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable, match="can't be used") as error:
        objects.exists(ObjectPath.parsed(bucket) / "a")
    assert "\n" not in str(error.value).partition("hint")[0].strip() or "Debug" not in str(error.value)
    assert "AWS_ENDPOINT_URL" in error.value.hint
