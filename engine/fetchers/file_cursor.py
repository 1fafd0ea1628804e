"""The cursor of a source that is files: how many rows are done, and in which file the last of them was.

Invariant: a file that comes before the cursor and wasn't there when the cursor was made is noticed,
because it moves the named file to another place. It must not know how rows are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import SourceChanged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.fetchers.source_files import SourceFiles
    from engine.jsonable import Json


def make(files: SourceFiles, next_row: int, file: int, rows_in_file: int) -> dict[str, Json]:
    """Return the cursor when rows below `next_row` are done, the last `rows_in_file` of them in `file`.

    A source that is one named file needs no more than the row.
    """
    if files.fixed or next_row == 0:
        return {"next_row": next_row}
    return {"next_row": next_row, "file": file, "name": files.paths[file].name, "row": rows_in_file}


def place(files: SourceFiles, cursor: Mapping[str, Json] | None) -> tuple[int, int] | None:
    """Return the cursor's file and how many of its rows are done, or None when the cursor doesn't say.

    Raises:
        SourceChanged: that file is not at its place in `files`.
    """
    match cursor:
        case {"file": int(file), "name": str(name), "row": int(row)}:
            now = files.paths[file].name if file < len(files.paths) else "not there"
            if now != name:
                raise SourceChanged(
                    f"the last committed row was in file {file + 1} of the source, {name}; that file is now {now}"
                )
            return file, row
        case _:
            return None
