"""The settings of a person: theme, glyphs, recent pipelines.

One small JSON file. A damaged file never stops anybody: it gives the defaults, and a save that fails is only reported.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

KEPT_RECENTS = 10
FOLDER_VARIABLE = "BATCHPIPE_STATE_DIR"


@dataclass(frozen=True, slots=True)
class Recent:
    """A pipeline that was open: its target and its checkpoint folder, as absolute paths if they are files."""

    target: str
    name: str
    checkpoint_dir: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one person. `theme` empty means the default one; recents are newest first."""

    theme: str = ""
    ascii: bool = False
    recents: tuple[Recent, ...] = field(default_factory=tuple)

    def with_recent(self, recent: Recent) -> Settings:
        """Return the settings with this pipeline as the newest one, listed once."""
        others = (known for known in self.recents if known != recent)
        return replace(self, recents=(recent, *others)[:KEPT_RECENTS])


def settings_file() -> Path:
    """Return the path of the settings: in $BATCHPIPE_STATE_DIR, or in the user's state folder."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return Path(folder) / "settings.json"
    from platformdirs import user_state_path

    return user_state_path("batchpipe-tui") / "settings.json"


def load(path: Path) -> Settings:
    """Return the settings in `path`; what is missing or wrong is replaced by its default."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Settings()
    if not isinstance(content, dict):
        return Settings()
    recents = content.get("recents")
    theme = content.get("theme")
    return Settings(
        theme=theme if isinstance(theme, str) else "",
        ascii=content.get("ascii") is True,
        recents=tuple(filter(None, map(_recent, recents)))[:KEPT_RECENTS] if isinstance(recents, list) else (),
    )


def _recent(content: object) -> Recent | None:
    if not isinstance(content, dict):
        return None
    values = [content.get(name) for name in ("target", "name", "checkpoint_dir")]
    texts = [value for value in values if isinstance(value, str) and value]
    return Recent(*texts) if len(texts) == len(values) else None


def save(settings: Settings, path: Path) -> str:
    """Write the settings; return why that failed, empty when it succeeded."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Replaced as a whole, so that another dashboard never reads half of it. Only its owner may read it.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(asdict(settings), ensure_ascii=False, indent=1) + "\n")
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        return f"the settings can't be kept in {path}: {error.strerror}"
    return ""
