"""What runs on a worker of a Ray cluster, and what is sent there for it.

A pipeline's own file is no installed package, so its code travels with the steps, by value.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError
from engine.executors.ray.remote import failed, limit_threads, work_on

if TYPE_CHECKING:
    from types import ModuleType

    from engine.executors.ray.serialization import Packed
    from engine.worker.recipe import Recipe


def task(
    cpus: int, name: str, references: list[Any], batch_id: int, *, pinned: dict[str, Any] | None, leading: bool
) -> Packed:
    """What runs on a worker. References come in a list, so that nothing is unpickled before the threads are limited.

    What comes back is an `Outcome`, packed.
    """
    limit_threads(cpus)
    import ray

    recipe, shipped = references
    import polars as pl

    from engine.executors.ray.serialization import packed, unpacked

    outcome = work_on(
        name,
        lambda: together(*ray.get(recipe)),
        batch_id,
        None if shipped is None else unpacked(ray.get(shipped)),
        pinned=None if pinned is None else pl.Schema(pinned),
        leading=leading,
    )
    try:
        return packed(ray.cloudpickle, outcome)
    except BaseException as error:  # noqa: BLE001 (Polars panics too)
        return packed(ray.cloudpickle, failed(error, batch_id, outcome.events))


def together(parts: bytes, rest: bytes) -> Recipe:
    """Return the recipe on a worker."""
    from ray import cloudpickle

    steps, fetcher = cloudpickle.loads(parts)
    recipe: Recipe = cloudpickle.loads(rest)
    return replace(recipe, steps=steps, fetcher=fetcher)


def no_source(_batch_id: int, _batch_size: int) -> None:
    """Stand in the place of the source while the rest of a recipe is sent."""


def pickled(cloudpickle: Any, parts: Any) -> bytes:
    """Return steps and source with the code of the user's own modules in them, which the workers don't have."""
    modules = _users_modules()
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        pickled: bytes = cloudpickle.dumps(parts)
    except Exception as error:
        raise UsageError(
            f"the pipeline can't be sent to the workers: {error}",
            hint="Open connections, models and files in a step's `setup`, which runs on each worker.",
        ) from error
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
    return pickled


def _users_modules() -> list[ModuleType]:
    """Return the loaded modules that are neither installed nor Python's own: those of the pipeline's folder."""
    engine_folder = Path(__file__).parents[2]
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name == "__main__":
            continue
        path = Path(file)
        installed = {"site-packages", "dist-packages"} & set(path.parts)
        if (
            not installed
            and not path.is_relative_to(engine_folder)
            and not path.is_relative_to(Path(os.__file__).parent)
        ):
            found.append(module)
    return found
