"""The line of a person's own file in a traceback, and the command that opens it in their editor."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import engine

_FRAME = re.compile(r'^ *File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
_INSTALLED = ("site-packages", "dist-packages", "importlib")
_PLUS_LINE = {"vi", "vim", "nvim", "nano", "emacs", "emacsclient", "micro", "kak", "joe", "ne", "mg"}
_COLON_LINE = {"hx", "helix", "subl", "zed"}


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of a file; lines count from 1."""

    file: Path
    line: int


def source_line(traceback: str, pipeline_file: Path | None, step: str | None = None) -> SourceLine | None:
    """Return the deepest frame in the pipeline's own file, else the deepest one in a file that is not installed.

    A check that is declared in the pipeline file fails inside the engine, without a frame of that file: then it is the
    first line there that names the step.
    """
    frames = [SourceLine(Path(found["file"]), int(found["line"])) for found in _FRAME.finditer(traceback)]
    own = pipeline_file.resolve() if pipeline_file else None
    engine_folder = Path(str(engine.__file__)).resolve().parent
    for frame in reversed(frames):
        if own is not None and frame.file.resolve() == own:
            return frame
    for frame in reversed(frames):
        theirs = frame.file.is_file() and not any(part in _INSTALLED for part in frame.file.parts)
        if theirs and engine_folder not in frame.file.resolve().parents:
            return frame
    if own is None or not own.is_file():
        return None
    return SourceLine(own, _line_that_names(own, step) if step else 1)


def _line_that_names(file: Path, step: str) -> int:
    """Return the first line of `file` that names the step in quotes, 1 when none does."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return 1
    names = (f'"{step}"', f"'{step}'")
    return next((number for number, line in enumerate(lines, 1) if any(name in line for name in names)), 1)


def editor_command(place: SourceLine, editor: str | None = None) -> list[str]:
    """Return the command that opens the line in $VISUAL or $EDITOR, `vi` when neither is set.

    >>> editor_command(SourceLine(Path("a.py"), 7), "code --wait")
    ['code', '--wait', '--goto', 'a.py:7']
    """
    words = shlex.split(editor or os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    name = Path(words[0]).name
    if name in _PLUS_LINE:
        return [*words, f"+{place.line}", str(place.file)]
    if name in {"code", "codium", "cursor"}:
        return [*words, "--goto", f"{place.file}:{place.line}"]
    if name in _COLON_LINE:
        return [*words, f"{place.file}:{place.line}"]
    return [*words, str(place.file)]
