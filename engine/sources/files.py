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
from engine.sources import folders
from engine.sources.folders import Listing
from engine.sources.identity import changed
from engine.text.masking import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.sources.folders import Suffixes
    from engine.text.json_values import Json

FilePath: TypeAlias = "str | os.PathLike[str]"
FileSource: TypeAlias = "FilePath | Sequence[FilePath]"
"""A file, a folder, or a glob (`*`, `?`, `[…]`, and `**` for any folders), or a list of these."""


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files in reading order, each once, as absolute paths; there is at least one.

    `fixed` is True if the source names a single file, so that no other file can come before it. `roots` has for each
    file the folder that was searched for it: an item of the source, or the part of a glob before its first wildcard.
    `left_out` has a sentence for each kind of files that are beside them and are not read.
    """

    paths: tuple[Path, ...]
    fixed: bool
    roots: tuple[Path, ...]
    left_out: tuple[str, ...] = ()

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


def find_files(source: FileSource, suffixes: Suffixes, *, folder: Path, hive: bool = False) -> SourceFiles:
    """Return the files of `source`. Of a folder it takes the files with `suffixes`, in any case, except hidden ones.

    Relative names are looked up in `folder`, an absolute path. The files of a folder or a glob are sorted by path; the
    items of a list keep their order. A file that is named twice is read once, at its first place. With `hive`, the
    subfolders of a folder that are named `key=value` are searched too.

    Raises:
        SourceNotFound: there is no file for an item, or a file is a link to nowhere.
        SourceError: a file of a folder is there plain and compressed.
    """
    items = _items(source)
    if not items:
        raise SourceNotFound("the list of files to read is empty", hint="Name at least one file.")
    found: dict[Path, Path] = {}
    left_out: list[str] = []
    for item in items:
        listing = _find_one(item, suffixes, folder, hive=hive)
        left_out += listing.left_out
        for path in listing.files:
            found.setdefault(path, _root(_absolute(item, folder), path))
    paths = tuple(found)
    fixed = len(items) == 1 and paths == (_absolute(items[0], folder),)
    return SourceFiles(paths, fixed, tuple(found.values()), tuple(left_out))


def source_as_json(source: FileSource) -> Json:
    """Return `source` as JSON. Paths stay relative: a folder that was moved is still the same source."""
    items = [mask_secrets(item) for item in _items(source)]
    return items[0] if isinstance(source, (str, os.PathLike)) else items


def _items(source: FileSource) -> list[str]:
    several = [source] if isinstance(source, (str, os.PathLike)) else source
    return [os.fspath(item) for item in several]


def _absolute(name: str, folder: Path) -> Path:
    # Not resolve(): a link that now points to another file is still the same source.
    return Path(os.path.abspath(folder / os.path.expanduser(name)))  # noqa: PTH100, PTH111


def _root(named: Path, path: Path) -> Path:
    if path == named:
        return named.parent
    return next((folder for folder in (named, *named.parents) if folder in path.parents), path.parent)


def _find_one(item: str, suffixes: Suffixes, folder: Path, *, hive: bool) -> Listing:
    if "://" in item:
        raise SourceNotFound(
            f"{item} is an address, but only files on this computer can be read",
            hint="Download or mount it first, then name the file.",
        )
    path = _absolute(item, folder)
    try:
        if item and path.is_file():
            return Listing([path])
        if item and path.is_dir():
            return folders.in_folder(path, suffixes, hive=hive)
        folders.refuse_dangling(path)
        listing = folders.by_glob(item, suffixes, folder)
    except OSError as error:
        raise SourceNotFound(
            f"cannot look for {path}: {describe(error)}", hint="Check the name, and the permissions of its folder."
        ) from error
    if listing.files:
        return listing
    if glob.has_magic(item):
        raise SourceNotFound(
            f"no file matches {path}",
            hint=" ".join(["Check the pattern; a * doesn't match files in subfolders.", *listing.left_out]),
        )
    raise SourceNotFound(
        f"{path} doesn't exist" if item else "the name of the file to read is empty",
        hint=f"Name a file, a folder with {folders.named(suffixes)} files, or a glob. A relative name is looked up in "
        f"{folder}.",
    )
