"""Which files a source is: a file, a glob, a folder, or a list of these, turned into absolute paths.

Invariant: the same files are read in the same order, every time. A name that exists is taken literally, even if it
contains a `*`; only a name that doesn't exist is read as a glob. A cursor names the file of the last committed row, so
a file that was added before that one is noticed: it moves the named file to another place. This module must not know
what is in the files.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from engine.errors import SourceNotFound, describe
from engine.sources.identity import changed
from engine.text.masking import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.text.json_values import Json

FilePath: TypeAlias = "str | os.PathLike[str]"
FileSource: TypeAlias = "FilePath | Sequence[FilePath]"
"""A file, a folder, or a glob (`*`, `?`, `[…]`, and `**` for any folders), or a list of these."""


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files in reading order, each once, as absolute paths; there is at least one.

    `fixed` is True if the source names a single file, so that no other file can come before it. `roots` has for each
    file the folder that was searched for it: an item of the source, or the part of a glob before its first wildcard.
    """

    paths: tuple[Path, ...]
    fixed: bool
    roots: tuple[Path, ...]

    def cursor_to(self, file: int) -> dict[str, Json]:
        """Return the part of a cursor that names this file; empty if the source is a single file."""
        return {} if self.fixed else {"file": file, "name": self.paths[file].name}

    def file_at(self, cursor: Mapping[str, Json], *, accept: bool = False) -> int:
        """Return the number of the file that the cursor names, or 0 if it names none.

        With `accept`, the file may be at another place in the list.

        Raises:
            SourceChanged: another file, or none, is at that place now.
        """
        match cursor:
            case {"file": int(file), "name": str(name)}:
                places = [number for number, path in enumerate(self.paths) if path.name == name]
                if file in places:
                    return file
                if not places:
                    raise changed(f"{name}, which has the last committed row, is no longer a file of the source")
                if accept and len(places) == 1:
                    return places[0]
                raise changed(
                    f"{name}, which has the last committed row, was file {file + 1} of the source and is now file "
                    f"{places[0] + 1}: files were added before it, or removed"
                )
            case _:
                return 0


def find_files(source: FileSource, suffix: str, *, hive: bool = False) -> SourceFiles:
    """Return the files of `source`. Of a folder it takes the files with `suffix`, in any case, except hidden ones.

    The files of a folder or a glob are sorted by path; the items of a list keep their order. A file that is
    named twice is read once, at its first place. With `hive`, the subfolders of a folder that are named `key=value` are
    searched too.

    Raises:
        SourceNotFound: there is no file for an item.
    """
    items = _items(source)
    if not items:
        raise SourceNotFound("the list of files to read is empty", hint="Name at least one file.")
    found: dict[Path, Path] = {}
    for item in items:
        for path in _find_one(item, suffix, hive=hive):
            found.setdefault(path, _root(item, path))
    paths = tuple(found)
    return SourceFiles(paths, len(items) == 1 and paths == (_absolute(items[0]),), tuple(found.values()))


def source_as_json(source: FileSource) -> Json:
    """Return `source` as JSON. Paths stay relative: a folder that was moved is still the same source."""
    items = [mask_secrets(item) for item in _items(source)]
    return items[0] if isinstance(source, (str, os.PathLike)) else items


def _items(source: FileSource) -> list[str]:
    several = [source] if isinstance(source, (str, os.PathLike)) else source
    return [os.fspath(item) for item in several]


def _absolute(name: str) -> Path:
    # Not resolve(): a link that now points to another file is still the same source.
    return Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111


def _root(item: str, path: Path) -> Path:
    named = _absolute(item)
    if path == named:
        return named.parent
    return next((folder for folder in (named, *named.parents) if folder in path.parents), path.parent)


def _find_one(item: str, suffix: str, *, hive: bool) -> list[Path]:
    if "://" in item:
        raise SourceNotFound(
            f"{item} is an address, but only files on this computer can be read",
            hint="Download or mount it first, then name the file.",
        )
    path = _absolute(item)
    try:
        if item and path.is_file():
            return [path]
        if item and path.is_dir():
            return _files_in(path, suffix, hive=hive)
        # Path.glob accepts neither an absolute pattern nor "~".
        names = glob.iglob(os.path.expanduser(item), recursive=True)  # noqa: PTH111, PTH207
        files = [match for match in sorted(map(_absolute, names)) if match.is_file()]
    except OSError as error:
        raise SourceNotFound(
            f"cannot look for {path}: {describe(error)}", hint="Check the name, and the permissions of its folder."
        ) from error
    if files:
        return files
    if glob.has_magic(item):
        raise SourceNotFound(
            f"no file matches {path}", hint="Check the pattern; a * doesn't match files in subfolders."
        )
    raise SourceNotFound(
        f"{path} doesn't exist" if item else "the name of the file to read is empty",
        hint=f"Name a file, a folder with *{suffix} files, or a glob. A relative name is looked up in {Path.cwd()}.",
    )


def _files_in(folder: Path, suffix: str, *, hive: bool) -> list[Path]:
    files = sorted(
        path
        for path in (_in_partitions(folder) if hive else folder.iterdir())
        if path.suffix.lower() == suffix and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise SourceNotFound(
            f"the folder {folder} has no *{suffix} files",
            hint=f"Subfolders are not searched; use the glob {folder}/**/*{suffix} for that.",
        )
    return files


def _in_partitions(folder: Path) -> Iterator[Path]:
    """Yield what is in the folder, and in its subfolders that are named `key=value`, in any depth."""
    for path in folder.iterdir():
        if path.name.count("=") == 1 and path.is_dir():
            yield from _in_partitions(path)
        else:
            yield path
