"""The step that renames columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.steps.arguments import column_name
from engine.steps.base import LazyBatchStep

if TYPE_CHECKING:
    import polars as pl

    from engine.text.json_values import Json


class RenameBatchStep(LazyBatchStep):
    """The same rows and columns under other names: `RenameBatchStep("rename", {"old": "new"})`.

    An old name may be empty, a new one not. All names change at once, so two columns can swap theirs. A missing column
    makes the batch fail.

    Raises:
        UsageError: there is nothing to rename, something isn't a name, or two columns would get the same name.
    """

    def __init__(self, name: str, names: Mapping[str, str]) -> None:
        super().__init__(name)
        if not isinstance(names, Mapping) or not names:
            raise UsageError(f"step '{name}' renames nothing", hint='Give old and new names, such as {"old": "new"}.')
        self.names = {
            # pandas writes its index as a column with an empty name, and this step is the way to give it another.
            old if old == "" else column_name(name, old, "column to rename"): column_name(name, new, "new column")
            for old, new in names.items()
        }
        new_names = list(self.names.values())
        twice = sorted({new for new in new_names if new_names.count(new) > 1})
        if twice:
            raise UsageError(f"step '{name}' gives more than one column the name {', '.join(map(repr, twice))}")

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with the new names."""
        return frame.rename(self.names)

    def settings(self) -> Mapping[str, Json]:
        """Return old and new names."""
        return {"names": dict(sorted(self.names.items()))}
