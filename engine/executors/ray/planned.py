"""A source that has one batch, which was planned elsewhere and is read here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.sources.base import SeekableFetcher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.batch import Batch
    from engine.sources.base import BatchFetcher
    from engine.text.json_values import Json


class Planned(SeekableFetcher):
    """Hands out the batch of `plan`, as the open `fetcher` reads it."""

    concurrent = True

    def __init__(self, fetcher: BatchFetcher, plan: Mapping[str, Json]) -> None:
        assert isinstance(fetcher, SeekableFetcher)  # noqa: S101 (only those plan)
        self._fetcher = fetcher
        self._plan = plan
        self.retry = fetcher.retry

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:  # noqa: ARG002
        """Return the batch."""
        return self._fetcher.fetch_planned(batch_id, self._plan)

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return where the source stands after it."""
        return self._fetcher.cursor_after(batch)

    def identity(self) -> Mapping[str, Json]:
        """Return what is read."""
        return self._fetcher.identity()
