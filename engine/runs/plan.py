"""What is to be run, and how: the value that a pipeline hands to its runs and replays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.policy import Quarantine
from engine.sources.base import SeekableFetcher
from engine.text.masking import mask_secrets

if TYPE_CHECKING:
    from engine.checkpoint.parts.parts import PartFormat
    from engine.executors.base import Executor
    from engine.policy import RetryPolicy
    from engine.sinks.base import Sink
    from engine.sources.base import BatchFetcher
    from engine.steps.base import BatchStep


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run, and how."""

    name: str
    steps: tuple[BatchStep, ...]
    fetcher: BatchFetcher
    batch_size: int
    executor: Executor
    retry: RetryPolicy | None
    part_format: PartFormat
    sinks: tuple[Sink, ...] = ()
    quarantine: Quarantine | None = None
    """The limits when rows that fail are taken out by default, None when they stop the run."""

    @property
    def limits(self) -> Quarantine | None:
        """The limits that hold in this run: a step may take rows out although the pipeline stops for them."""
        if self.quarantine is None and any(step.on_error == "quarantine" for step in self.steps):
            return Quarantine()
        return self.quarantine


def source_name(fetcher: BatchFetcher) -> str:
    """Return what to call the source on a screen, without secrets."""
    if isinstance(fetcher, SeekableFetcher):
        content = fetcher.identity()
        name = str(content.get("source") or content.get("kind") or type(fetcher).__name__)
        return mask_secrets(f"{name} by {fetcher.route}" if fetcher.route else name)
    return getattr(fetcher, "__name__", type(fetcher).__name__)
