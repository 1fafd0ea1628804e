from __future__ import annotations

import errno
import os
from pathlib import Path

import duckdb
import pytest

from engine.checkpoint.translate_errors import translate
from engine.errors import CheckpointCorrupt, CheckpointLocked, CheckpointNotWritable, DiskFull

PATH = Path("/data/checkpoint.duckdb")


def os_error(number):
    return OSError(number, os.strerror(number), str(PATH))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (os_error(errno.ENOSPC), DiskFull),
        (os_error(errno.EDQUOT), DiskFull),
        (os_error(errno.EFBIG), DiskFull),
        (os_error(errno.EACCES), CheckpointNotWritable),
        (os_error(errno.EROFS), CheckpointNotWritable),
        (os_error(errno.EIO), CheckpointNotWritable),
        (os_error(errno.EMFILE), CheckpointNotWritable),
        (duckdb.IOException('IO Error: Could not write file "x": No space left on device'), DiskFull),
        (duckdb.FatalException("FATAL: … File too large"), DiskFull),
        (duckdb.IOException('IO Error: Cannot open file "x": Permission denied'), CheckpointNotWritable),
        (duckdb.IOException('IO Error: Cannot open file "x": Read-only file system'), CheckpointNotWritable),
        (duckdb.IOException("IO Error: Could not set lock on file … held in /bin/duckdb (PID 7)."), CheckpointLocked),
        (duckdb.IOException("IO Error: Corrupt database file: computed checksum"), CheckpointCorrupt),
        (duckdb.SerializationException("Serialization Error: field id mismatch"), CheckpointCorrupt),
    ],
)
def test_each_error_becomes_one_that_can_be_acted_on(error, kind):
    translated = translate(PATH, error)
    assert type(translated) is kind
    assert translated.path == PATH
    assert str(PATH) in str(translated)
    assert translated.hint


def test_the_other_program_is_named():
    error = duckdb.IOException(
        'IO Error: Could not set lock on file "x": Conflicting lock is held in /usr/bin/duckdb (PID 30291). See also …'
    )
    assert translate(PATH, error).holder == "/usr/bin/duckdb (PID 30291)"


def test_only_what_is_damaged_is_said_to_be_repairable():
    assert "verify --repair" in translate(PATH, duckdb.IOException("Corrupt database file")).hint
    for harmless in (os_error(errno.ENOSPC), os_error(errno.EACCES)):
        assert "--repair" not in translate(PATH, harmless).hint
