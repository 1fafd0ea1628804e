"""Find the pipeline that a TARGET names: `file.py[:name]` or `package.module:name`.

Each load runs the file again, under a new module name and without Python's caches, so that an edit has an effect at
once. An error of that file is reported as its own: with the file, the line and the message.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import itertools
import os
import sys
import threading
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import PipelineError, TargetNotFound, describe
from engine.loading.fresh_import import importing_from, run_file
from engine.pipeline import BatchPipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

DEFAULT_NAME = "pipeline"

_EXAMPLE = f"Write `{DEFAULT_NAME} = BatchPipeline(...)` in it, or a function without arguments that returns one."
_numbers = itertools.count(1)
_one_at_a_time = threading.RLock()


@dataclass(frozen=True, slots=True)
class _Source:
    """A Python file, its name in messages, and the module name for its run."""

    shown: str
    file: Path
    module: str
    packages: list[str] | None = None


def load(target: str) -> BatchPipeline:
    """Return the pipeline that `target` names: an object, or what a function without arguments returns.

    `name` is `pipeline` unless given. While the file is loaded, its folder (for a module: the current one)
    comes first on `sys.path`, as when Python runs the file; afterwards it comes last.

    Raises:
        TargetNotFound: no such file, module or name, it is something else, or the file raised.
        PipelineError: the pipeline's own definition is wrong; a note says on which line.
    """
    place, name = _split(target)
    with _one_at_a_time:
        is_file = place.endswith(".py") or os.sep in place or Path(place).is_file()
        folder = Path(place).resolve().parent if is_file else Path.cwd()
        with importing_from(folder):
            source = _file(place) if is_file else _module(place, folder)
            with _theirs(source.shown, source.file):
                module = run_file(source.module, source.file, packages=source.packages)
            return _pipeline(module, name, source)


def _split(target: str) -> tuple[str, str]:
    if target.endswith(".py"):
        return target, DEFAULT_NAME
    place, colon, name = target.rpartition(":")
    if not colon:
        return target, DEFAULT_NAME
    if not place or not name.isidentifier():
        raise TargetNotFound(
            f"'{target}' doesn't name a pipeline", hint="Write file.py, file.py:name or package.module:name."
        )
    return place, name


def _file(place: str) -> _Source:
    path = Path(place)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise TargetNotFound(f"the file {place} {what}", hint=_near_files(path))
    if path.suffix != ".py":
        raise TargetNotFound(f"{place} is not a Python file", hint="Name a file that ends in .py.")
    return _Source(place, path.absolute(), f"_pipeline_{next(_numbers)}_{path.stem}")


def _near_files(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix == ".py"]
    except OSError:
        return f"There is no folder {path.parent}."
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(str(path.with_name(name)) for name in near)}?" if near else ""


def _module(place: str, folder: Path) -> _Source:
    hint = f"Modules are looked for in {folder} and in {sys.prefix}."
    try:
        spec = importlib.util.find_spec(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            raise TargetNotFound(f"there is no module {error.name}", hint=hint) from error
        raise _raised(place, None, error) from error
    except (ValueError, ImportError) as error:
        raise TargetNotFound(f"{place} is not a module that can be loaded: {error}", hint=hint) from error
    except PipelineError:
        raise
    except Exception as error:
        raise _raised(place, None, error) from error
    if spec is None:
        raise TargetNotFound(f"there is no module {place}", hint=hint)
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise TargetNotFound(f"{place} is not a module of Python source", hint="Name the module inside it.")
    name = f"{place}__pipeline_{next(_numbers)}"  # its package stays the same, so relative imports work
    return _Source(place, Path(spec.origin), name, spec.submodule_search_locations)


def _pipeline(module: ModuleType, name: str, source: _Source) -> BatchPipeline:
    try:
        found: object = getattr(module, name)
    except AttributeError:
        raise TargetNotFound(f"{source.shown} has no name '{name}'", hint=_others(module, source)) from None
    if isinstance(found, BatchPipeline):
        return found
    if not callable(found):
        raise TargetNotFound(
            f"{source.shown}:{name} is a {type(found).__name__}, not a BatchPipeline", hint=_others(module, source)
        )
    if not _needs_nothing(found):
        raise TargetNotFound(
            f"{source.shown}:{name} can't be called without arguments", hint=_others(module, source, besides=name)
        )
    with _theirs(f"{source.shown}:{name}", source.file):
        built = found()
    if isinstance(built, BatchPipeline):
        return built
    what = "nothing (None)" if built is None else f"a {type(built).__name__}"
    raise TargetNotFound(f"{source.shown}:{name} returned {what} instead of a BatchPipeline")


def _needs_nothing(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # a callable of C without a signature: the call will tell
        return True
    return True


def _others(module: ModuleType, source: _Source, *, besides: str = "") -> str:
    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, BatchPipeline)
        or (inspect.isfunction(value) and value.__module__ == module.__name__ and _needs_nothing(value))
    ]
    names = [name for name in names if name != besides and not name.startswith("_")]
    return f"It has {', '.join(names)}: try {source.shown}:{names[0]}" if names else _EXAMPLE


# --- what goes wrong in their file ----------------------------------------------------------------------


@contextmanager
def _theirs(shown: str, file: Path) -> Iterator[None]:
    """Report what the block raises as an error of that file."""
    try:
        yield
    except PipelineError as error:
        line = _line(error, file)
        if line:
            error.add_note(f"in {shown}, line {line}")
        raise
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a sys.exit() at the end of a script, a panic of Polars
        raise _raised(shown, file, error) from error


def _raised(shown: str, file: Path | None, error: BaseException) -> TargetNotFound:
    line = _line(error, file) if file else None
    where = f" on line {line}" if line else ""
    hint = "The file is run as a whole to find the pipeline in it; this must work before anything else can."
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"Install {error.name} for {sys.executable}, or put its folder on PYTHONPATH."
    elif isinstance(error, SystemExit):
        hint = "Put what should happen only when the file is run by itself under `if __name__ == '__main__':`."
    return TargetNotFound(f"{shown} fails{where}: {describe(error)}", hint=hint)


def _line(error: BaseException, file: Path) -> int | None:
    """Return the innermost line of `file` in the error's traceback."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(file)]
    return lines[-1] if lines else None
