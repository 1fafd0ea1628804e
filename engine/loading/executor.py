"""The executor that a command line names: threads of this process, or a Ray cluster."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.executors.base import Executor


class ExecutorChoice(StrEnum):
    """The values of --executor."""

    THREADS = "threads"
    RAY = "ray"


def executor_named(choice: ExecutorChoice | None, ray_address: str | None) -> Executor | None:
    """Return the executor for these options; None for the pipeline's own.

    Raises:
        UsageError: the address of a cluster without `--executor ray`.
    """
    if choice is ExecutorChoice.RAY:
        from engine.executors.ray.executor import RayExecutor

        return RayExecutor(ray_address)
    if ray_address is not None:
        raise UsageError("--ray-address means nothing without --executor ray", hint="Add --executor ray.")
    if choice is ExecutorChoice.THREADS:
        from engine.executors.threads import ThreadExecutor

        return ThreadExecutor()
    return None
