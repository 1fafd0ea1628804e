"""Looks for files in folders and by globs, and says which files it leaves out.

Invariant: a file that a person may take for a part of the source is read, or is an error, or is named in a sentence of
`Listing.left_out`. Hidden files are no part of a source.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from engine.errors import SourceError, SourceNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Suffixes: TypeAlias = "str | tuple[str, ...]"
"""How the names of the files end, in small letters: `.csv`, or `(".csv", ".csv.gz")`."""

_RELATED = ((".csv", ".tsv", ".psv", ".tab"), (".parquet", ".parq", ".pq"), (".ndjson", ".jsonl", ".json"))
_COUNTED = 10_000
"""How many entries below a folder are looked at: it may be somebody's home folder."""


@dataclass
class Listing:
    """The files that were found, sorted by path, and one sentence for each kind of files that were left out."""

    files: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def named(suffixes: Suffixes) -> str:
    """Return the suffixes for a message: `*.csv or *.csv.gz`."""
    return " or ".join(f"*{suffix}" for suffix in _several(suffixes))


def in_folder(folder: Path, suffixes: Suffixes, *, hive: bool) -> Listing:
    """Return the files of the folder; with `hive`, also those of its subfolders that are named `key=value`.

    Raises:
        SourceNotFound: there is none, or one of them is a link to nowhere.
        SourceError: a file is there plain and compressed.
        OSError: the folder can't be read.
    """
    listing = Listing()
    others: list[Path] = []
    folders: list[Path] = []
    for path in sorted(_in_partitions(folder) if hive else folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            folders.append(path)
        elif not path.name.lower().endswith(suffixes):
            others += [path] * _is_related(path, suffixes)
        elif path.is_file():
            listing.files.append(path)
        else:
            refuse_dangling(path)
            others.append(path)
    below = [path for inner in folders for path in _below(inner, suffixes)]
    if not listing.files:
        raise SourceNotFound(
            f"the folder {folder} has no {named(suffixes)} files", hint=_where_they_are(folder, below, others)
        )
    _refuse_twins(listing.files)
    _say_left_out(listing, folder, below, "Subfolders are not searched: name them, or use ** in a glob.")
    _say_left_out(
        listing, folder, others, f"Of a folder only {named(suffixes)} files are read: name the others in a list."
    )
    return listing


def by_glob(pattern: str, suffixes: Suffixes, start: Path) -> Listing:
    """Return the files that match, from `start` if the pattern is relative; none is no error.

    Raises:
        SourceNotFound: a match is a link to nowhere.
        OSError: a folder can't be read.
    """
    # Path.glob accepts neither an absolute pattern nor "~".
    whole = os.path.join(glob.escape(str(start)), os.path.expanduser(pattern))  # noqa: PTH111, PTH118
    names = glob.iglob(whole, recursive=True)  # noqa: PTH207
    matches = sorted({Path(os.path.abspath(name)) for name in names})  # noqa: PTH100
    for path in matches:
        refuse_dangling(path)
    listing = Listing([path for path in matches if path.is_file()])
    for folder in [] if "**" in pattern else [path for path in matches if path.is_dir()]:
        below = [path for path in _below(folder, suffixes) if path not in listing.files]
        _say_left_out(listing, folder, below, "The glob matches that folder, not its files: end it with /*.")
    return listing


def refuse_dangling(path: Path) -> None:
    """Raise SourceNotFound if the path is a link to nowhere."""
    if path.is_symlink() and not path.exists():
        raise SourceNotFound(
            f"{path} is a link to {path.readlink()}, which doesn't exist",
            hint="Bring that file back, or remove the link.",
        )


def _several(suffixes: Suffixes) -> Sequence[str]:
    return [suffixes] if isinstance(suffixes, str) else suffixes


def _in_partitions(folder: Path) -> Iterator[Path]:
    """Yield what is in the folder, and in its subfolders that are named `key=value`, in any depth."""
    for path in folder.iterdir():
        if "=" in path.name and path.is_dir():
            yield from _in_partitions(path)
        else:
            yield path


def _is_related(path: Path, suffixes: Suffixes) -> bool:
    """Return whether the name says that the file has such rows too: in another compression, half loaded, as a copy."""
    name = path.name.lower()
    kinds = [kind for kind in _RELATED if any(suffix in kind for suffix in _several(suffixes))]
    return any(suffix in name for suffix in _several(suffixes)) or any(name.endswith(kind) for kind in kinds)


def _below(folder: Path, suffixes: Suffixes) -> list[Path]:
    """Return the files below the folder that would be read if they were in a folder of the source."""
    found: list[Path] = []
    left = _COUNTED
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(top, name) for name in sorted(names) if name[0] != "." and name.lower().endswith(suffixes)]
        left -= len(names) + len(folders)
        if left < 0:
            break
    return found


def _say_left_out(listing: Listing, folder: Path, paths: Sequence[Path], advice: str) -> None:
    if paths:
        count = "1 file is" if len(paths) == 1 else f"{len(paths):,} files are"
        example = paths[0].relative_to(folder)
        listing.left_out.append(f"{count} left out in {folder}: {example}{', …' if len(paths) > 1 else ''}. {advice}")


def _where_they_are(folder: Path, below: Sequence[Path], others: Sequence[Path]) -> str:
    if below:
        inner = below[0].parent.relative_to(folder)
        columns = f" The values in names such as {inner} don't become columns then." if "=" in str(inner) else ""
        return (
            f"Subfolders are not searched, but have such files: name {below[0].parent}, or use ** in a glob.{columns}"
        )
    if others:
        return f"It has {others[0].name}: name files with other names in a list, or rename or convert them."
    return "Check the name of the folder. Hidden files and subfolders are not read."


def _refuse_twins(files: Sequence[Path]) -> None:
    """Refuse a file beside its compressed copy: `gzip --keep` makes it, and all rows would come twice."""
    known = set(files)
    for path in files:
        plain = path.with_suffix("")
        if path.suffix.lower() == ".gz" and plain in known:
            raise SourceError(
                f"{plain} is there twice, plain and as {path.name}: its rows would be read twice",
                hint="Move one of the two files away. If they differ, name all files in a list.",
            )
