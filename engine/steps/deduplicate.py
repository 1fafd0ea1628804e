"""The step that drops repeated rows within a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from engine.errors import UsageError
from engine.steps.arguments import column_names
from engine.steps.base import LazyBatchStep

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import polars as pl

    from engine.text.json_values import Json

Keep: TypeAlias = Literal["first", "last", "none"]


class DeduplicateBatchStep(LazyBatchStep):
    """One row of each group of rows that are equal in `subset` (None: in all columns), in the order of the batch.

    `keep` says which one: the "first", the "last", or "none", which drops all rows that have a duplicate. Null equals
    null. Columns and dtypes stay the same. Only rows of one batch are compared; a duplicate in another batch stays.

    Raises:
        UsageError: `subset` is empty or contains something that isn't a name, or `keep` is unknown.
    """

    row_wise = False

    def __init__(self, name: str, subset: str | Collection[str] | None = None, keep: Keep = "first") -> None:
        super().__init__(name)
        if keep not in get_args(Keep):
            raise UsageError(
                f"step '{name}': keep must be 'first', 'last' or 'none', not {keep!r}",
                hint="'any' isn't available: it may keep another row when a batch is processed again.",
            )
        self.subset = column_names(name, subset)
        self.keep: Keep = keep

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame without the duplicates."""
        return frame.unique(self.subset, keep=self.keep, maintain_order=True)

    def settings(self) -> Mapping[str, Json]:
        """Return the columns in alphabetical order, as their order doesn't change the result, and `keep`."""
        return {"subset": None if self.subset is None else sorted(self.subset), "keep": self.keep}
