"""What a cursor says about which file of a source the last committed row was in.

Invariant: a file that comes before the cursor and wasn't there when the cursor was made is noticed,
because it moves the named file to another place. It must not know how rows are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import SourceChanged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.sources.files import SourceFiles
    from engine.text.json_values import Json


def naming(files: SourceFiles, file: int) -> dict[str, Json]:
    """Return the part of a cursor that names the file; nothing for a source that is one named file."""
    return {} if files.fixed else {"file": file, "name": files.paths[file].name}


def file_of(files: SourceFiles, cursor: Mapping[str, Json]) -> int:
    """Return the number of the file that the cursor names; the first when it names none.

    Raises:
        SourceChanged: that file is not at its place in `files`.
    """
    match cursor:
        case {"file": int(file), "name": str(name)}:
            now = files.paths[file].name if file < len(files.paths) else "not there"
            if now != name:
                raise SourceChanged(
                    f"the last committed row was in file {file + 1} of the source, {name}; that file is now {now}"
                )
            return file
        case _:
            return 0
