from __future__ import annotations

import stat
import zlib

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine.checkpoint.layout import Layout
from engine.checkpoint.parts import parts
from engine.checkpoint.parts.manifest import Manifest
from engine.storage import files
from engine.testing import numbers

ATTEMPT = "0123456789abcdef"


@pytest.fixture
def layout(tmp_path):
    (tmp_path / "results").mkdir()
    return Layout(tmp_path)


def manifest(batch_id=0, **fields):
    return Manifest(batch_id, 0, 9, 10, run_id=1, epoch=0, attempt_id=ATTEMPT, **fields)


def write(layout, frame, described=None, compression="zstd"):
    return parts.write(
        layout,
        frame,
        described or manifest(),
        checkpoint='{"key": "k", "pipeline": "p"}',
        compression=compression,
    )


def test_a_part_is_written_under_a_name_that_no_glob_finds(layout):
    write(layout, numbers(0, 10))
    assert list(layout.results.glob("*.parquet")) == []
    assert [path.name for path in layout.results.iterdir()] == [".part-000000000000-0123456789abcdef.tmp"]


def test_a_part_is_for_its_owner_alone(layout):
    write(layout, numbers(0, 10))
    assert stat.S_IMODE(layout.temporary_part(0, ATTEMPT).stat().st_mode) == 0o600


def test_size_and_checksum_are_those_of_the_file(layout):
    done = write(layout, numbers(0, 10))
    content = layout.temporary_part(0, ATTEMPT).read_bytes()
    assert done.bytes_written == len(content)
    assert done.checksum == f"{zlib.crc32(content):08x}"
    assert files.checksum(layout.temporary_part(0, ATTEMPT)) == done.checksum


def test_a_part_knows_its_manifest_and_its_checkpoint(layout):
    done = write(layout, numbers(0, 10), manifest(cursor={"next_row": 10}, states={"sum": 45}))
    parts.publish(layout, [done])
    assert parts.read_metadata(layout.part(0)) == (done, {"key": "k", "pipeline": "p"})


@pytest.mark.parametrize("compression", ["zstd", "snappy", "lz4", "uncompressed"])
def test_each_compression_gives_the_same_rows(layout, compression):
    done = write(layout, numbers(0, 10), compression=compression)
    parts.publish(layout, [done])
    assert_frame_equal(pl.read_parquet(layout.part(0)), numbers(0, 10))


def test_a_part_may_have_no_rows(layout):
    parts.publish(layout, [write(layout, numbers(0, 0))])
    assert pl.read_parquet(layout.part(0)).schema == {"id": pl.Int64}


@pytest.mark.parametrize("content", [b"", b"PAR1", b"rubbish" * 100])
def test_rubbish_is_no_part(layout, content):
    layout.part(0).write_bytes(content)
    with pytest.raises(ValueError, match="not a readable part"):
        parts.read_metadata(layout.part(0))


def test_somebody_elses_parquet_file_is_no_part(layout):
    numbers(0, 10).write_parquet(layout.part(0))
    with pytest.raises(ValueError, match="not a readable part"):
        parts.read_metadata(layout.part(0))


def test_a_missing_file_is_no_part(layout):
    with pytest.raises(ValueError, match="not a readable part"):
        parts.read_metadata(layout.part(0))


def test_the_names_sort_as_the_batches_do(layout):
    ids = [0, 9, 10, 99, 100, 10**9, 10**12 - 1]
    names = [layout.part(batch_id).name for batch_id in ids]
    assert sorted(names) == names
    assert [Layout.parse_part(name) for name in names] == ids


@pytest.mark.parametrize("name", ["part-5.parquet", "part-00000000000x.parquet", "xpart-000000000000.parquet", ""])
def test_other_names_are_no_parts(name):
    assert Layout.parse_part(name) is None
    assert Layout.parse_temporary_part(name) is None
