"""The target that a person names: its file, whether that was edited, and the pipeline in it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine import BatchPipeline


@dataclass(frozen=True, slots=True)
class Overrides:
    """Options of the command line that replace those of the pipeline file; None leaves one as it is."""

    checkpoint_dir: str | None = None
    batch_size: int | None = None
    executor: str | None = None
    ray_address: str | None = None

    def applied_to(self, pipeline: BatchPipeline) -> BatchPipeline:
        """Return the pipeline with these options in place of its own."""
        if self == Overrides():
            return pipeline
        from engine.loading.executor import ExecutorChoice, executor_named

        executor = executor_named(ExecutorChoice(self.executor) if self.executor else None, self.ray_address)
        return pipeline.with_options(batch_size=self.batch_size, checkpoint_dir=self.checkpoint_dir, executor=executor)


class Target:
    """A pipeline file or module, `file.py[:name]` or `package.module:name`, which can be loaded again."""

    def __init__(self, text: str, overrides: Overrides) -> None:
        self.text = text
        self.overrides = overrides
        self._loaded_from: tuple[int, int] | None = None
        self.known_file: Path | None = None
        """The file of the pipeline as soon as it was loaded, None when there is none."""

    def load(self) -> BatchPipeline:
        """Load the pipeline. Raises what `engine.loading.target.load` raises."""
        from engine.loading.target import load

        # Before it is read: an edit that comes while it loads counts as an edit.
        self._loaded_from = self._fingerprint()
        return self.overrides.applied_to(load(self.text))

    @property
    def absolute(self) -> str:
        """The target with the path of its file made absolute; a module stays as it is."""
        file = str(self.known_file)
        return f"{Path(file).resolve()}{self.text[len(file) :]}" if self.text.startswith(file) else self.text

    def edited(self) -> bool:
        """Return whether the file has changed since it was loaded."""
        return self._fingerprint() != self._loaded_from

    def _fingerprint(self) -> tuple[int, int] | None:
        try:
            self.known_file = file_of(self.text)
            state = self.known_file.stat() if self.known_file else None
        except (OSError, ImportError, ValueError):
            return None
        return (state.st_mtime_ns, state.st_size) if state else None


def file_of(target: str) -> Path | None:
    """Return the path of a target's file.

    >>> file_of("flights.py:build"), file_of("/tmp/a.py")
    (PosixPath('flights.py'), PosixPath('/tmp/a.py'))
    """
    head, colon, tail = target.rpartition(":")
    name = head if colon and tail.isidentifier() else target
    if name.endswith(".py"):
        return Path(name)
    module = sys.modules.get(name)
    origin = getattr(module, "__file__", None) if module else getattr(find_spec(name), "origin", None)
    return Path(origin) if origin else None
