"""Opens text files, plain or compressed by gzip, and refuses what isn't text.

Invariant: the bytes that a caller gets are the text as a person sees it, never compressed bytes. Each refusal says what
the file is, and the command that converts it.
"""

from __future__ import annotations

import gzip
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

from engine.errors import SourceError, SourceNotFound, describe

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

TextBytes: TypeAlias = "BinaryIO | gzip.GzipFile"

GZIP = b"\x1f\x8b"
_START_BYTES = 16

_OTHER_KINDS = (
    (rb"\xff\xfe|\xfe\xff", "UTF-16", "Convert it: iconv -f UTF-16 -t UTF-8 '{name}' > utf8.csv."),
    (rb"\x28\xb5\x2f\xfd", "compressed by zstd", "Convert it: zstd -d '{name}', or compress it with gzip."),
    (rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)", "compressed by bzip2", "Convert it: bunzip2 -k '{name}'."),
    (rb"\xfd7zXZ", "compressed by xz", "Convert it: xz -dk '{name}', or compress it with gzip."),
    (rb"\x04\x22\x4d\x18", "compressed by lz4", "Convert it: lz4 -d '{name}', or compress it with gzip."),
    (rb"PK\x03\x04", "a ZIP archive", "Unpack it: unzip '{name}'. A spreadsheet has to be saved as text first."),
    (rb"PAR1", "a Parquet file", "Read it with ParquetFetcher."),
    (rb"ARROW1", "an Arrow IPC file", "Read it with the source for Arrow IPC, or convert it to Parquet."),
    (rb"SQLite format 3\x00", "an SQLite database", "Read it with SqlFetcher."),
    (rb"%PDF-", "a PDF document", "Save its tables as text first."),
    (rb"\xd0\xcf\x11\xe0", "an old Office document", "Save it as text first."),
)


def open_bytes(path: Path) -> TextBytes:
    """Open the file; if it is compressed by gzip, read it decompressed.

    Raises:
        SourceNotFound: the file is gone.
        SourceError: the file has an encoding or a compression that can't be read, or isn't text at all.
    """
    if _not_utf8(path):
        raise SourceError(
            f"the name of a file isn't UTF-8: {str(path).encode('utf-8', 'backslashreplace').decode()}",
            hint="Rename the file.",
        )
    try:
        file: TextBytes = path.open("rb")
    except FileNotFoundError as error:
        raise SourceNotFound(f"{path} doesn't exist any more", hint="Bring it back, then run again.") from error
    except OSError as error:
        raise SourceError(f"cannot open {path}: {describe(error)}", hint="Check its permissions.") from error
    try:
        packed = cast("io.BufferedReader", file).peek(2).startswith(GZIP)
        if packed:
            file.close()
            file = gzip.open(path, "rb")  # noqa: SIM115 (the caller closes it)
        with damage_named(path):
            start = file.read(_START_BYTES)
            file.seek(0)
        _refuse_other_kinds(path, start, packed=packed)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Raise a SourceError for a file that can't be decompressed, or that the disk doesn't give."""
    import zlib

    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{path} is damaged: {describe(error)}", hint="Compress or download it again.") from error
    except OSError as error:
        raise SourceError(f"cannot read {path}: {describe(error)}", hint="Check the disk, then run again.") from error


def _refuse_other_kinds(path: Path, start: bytes, *, packed: bool) -> None:
    if packed and start.startswith(GZIP):
        raise SourceError(
            f"{path} is compressed by gzip twice", hint=f"Unpack it once: gzip -dc '{path.name}' > once.gz."
        )
    for magic, what, advice in _OTHER_KINDS:
        if re.match(magic, start):
            inside = "inside gzip, " if packed else ""
            raise SourceError(
                f"{path} is {inside}{what}, but only UTF-8 can be read, plain or compressed by gzip",
                hint=advice.format(name=path.name),
            )


def _not_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return True
    return False
