"""The task that runs on a worker of a Ray cluster, and how the recipe is sent there.

A pipeline's own file isn't an installed package, so its code is sent with the steps, by value.
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
    cpus: int, run: str, references: list[Any], batch_id: int, *, pinned: dict[str, Any] | None, leading: bool
) -> Packed:
    """Do one batch on a worker; return its `RemoteResult`, packed.

    References come in a list, so that nothing is unpickled before the threads are limited.
    """
    limit_threads(cpus)
    import ray

    recipe, given = references
    import polars as pl

    from engine.executors.ray.serialization import pack, unpack

    result = work_on(
        run,
        lambda: unpack_recipe(*ray.get(recipe)),
        batch_id,
        None if given is None else unpack(ray.get(given)),
        pinned=None if pinned is None else pl.Schema(pinned),
        leading=leading,
    )
    try:
        return pack(ray.cloudpickle, result)
    except BaseException as error:  # noqa: BLE001 (Polars panics too)
        return pack(ray.cloudpickle, failed(error, batch_id, result.events))


def unpack_recipe(parts: bytes, rest: bytes) -> Recipe:
    """Return the recipe on a worker: `parts` are steps and source, as `pickled` returned them."""
    from ray import cloudpickle

    steps, fetcher = cloudpickle.loads(parts)
    recipe: Recipe = cloudpickle.loads(rest)
    return replace(recipe, steps=steps, fetcher=fetcher)


def no_source(_batch_id: int, _batch_size: int) -> None:
    """Take the place of the source while the rest of a recipe is sent."""


def pickled(cloudpickle: Any, parts: Any) -> bytes:
    """Return steps and source, with the code of the user's own modules, which the workers don't have.

    Raises:
        UsageError: something in them can't be pickled.
    """
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
    """Return the loaded modules that are neither installed nor Python's own: those in the pipeline's folder."""
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
