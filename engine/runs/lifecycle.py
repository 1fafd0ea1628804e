"""The beginning and the end of steps and source: what they raise there, and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import PipelineError, StepSetupFailed, describe
from engine.events import Warned
from engine.steps.base import StatefulBatchStep
from engine.text.json_values import stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.events import Listener
    from engine.sources.base import SeekableFetcher
    from engine.steps.base import BatchStep
    from engine.text.json_values import Json


def set_up(step: BatchStep, states: Mapping[str, Json], batch_id: int) -> None:
    """Set a step up, and give a stateful one its state. Raises `StepSetupFailed`."""
    try:
        step.setup()
        if isinstance(step, StatefulBatchStep):
            step.restore(stored(states.get(step.name)))
    except PipelineError:
        raise
    except Exception as error:
        raise StepSetupFailed(step.name, batch_id, error) from error


def tear_down(step: BatchStep, emit: Listener) -> None:
    """Tear a step down; that it can't be is told."""
    try:
        step.teardown()
    except Exception as error:  # noqa: BLE001 (how the run ended is settled; what can't be closed doesn't change it)
        emit(Warned(f"step '{step.name}' could not be torn down: {describe(error)}"))


def close(fetcher: SeekableFetcher, emit: Listener) -> None:
    """Close the source; that it can't be is told."""
    try:
        fetcher.close()
    except Exception as error:  # noqa: BLE001 (as with a step: it doesn't change how the run ended)
        emit(Warned(f"the source could not be closed: {describe(error)}"))
