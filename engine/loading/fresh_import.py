"""Run a Python file again as if it had never been imported; `sys.path` and `sys.modules` stay usable.

Not safe to call from two threads at once: it changes both during a load.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, ModuleType

_brought_in: dict[Path, set[str]] = {}
"""The modules that the last load from a folder imported from that folder."""


class FreshLoader(SourceFileLoader):
    """Compiles the source each time: a cached file may have the same second as an edit."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the source as it is now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def run_file(name: str, file: Path, *, packages: list[str] | None = None) -> ModuleType:
    """Run `file` as the module `name` and return it; raise what it raises.

    `packages` are the folders of its submodules when the file is a package's `__init__.py`.
    """
    spec = importlib.util.spec_from_file_location(
        name, file, loader=FreshLoader(name, str(file)), submodule_search_locations=packages
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} can't be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    spec.loader.exec_module(module)
    return module


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Put `folder` first on `sys.path` for the block, and last after it: functions may import when they are called.

    Modules that an earlier load imported from there are removed first, so that edits in them have an effect.
    """
    for name in _brought_in.pop(folder, ()):
        sys.modules.pop(name, None)
    before = {name.partition(".")[0] for name in sys.modules}
    place = str(folder)
    writes_bytecode = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_bytecode
        sys.path.remove(place)
        if place not in sys.path:
            sys.path.append(place)
        _brought_in[folder] = {
            name
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] not in before and _lies_in(module, folder)
        }


def _lies_in(module: ModuleType, folder: Path) -> bool:
    """Return whether a module is a file of that folder, and not of an environment inside it."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return False
    path = Path(file)
    return path.is_relative_to(folder) and not {"site-packages", "dist-packages"} & set(path.parts)
