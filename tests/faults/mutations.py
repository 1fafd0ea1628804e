"""Mutations of the engine that each break one promise of the protocol on purpose: the tests must find them.

`ENGINE_MUTATION` names one. `mutated/sitecustomize.py` applies it in every Python process that has its folder in
PYTHONPATH, including the children that are killed. The engine doesn't know about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.parts import parts
from engine.checkpoint.parts.schema import SchemaPin
from engine.checkpoint.store import CheckpointStore
from engine.runs.batch_loop import BatchLoop

if TYPE_CHECKING:
    from collections.abc import Callable


def the_frontier_stays() -> None:
    """A commit adds its batches but doesn't move the frontier."""
    Catalog.advance = lambda *_, **__: True


def announced_before_the_commit() -> None:
    commit = BatchLoop._commit

    def announce_first(self: Any, manifests: Any) -> None:
        store, late = self.store, _Late(self.store)
        self.store = late
        commit(self, manifests)
        self.store = store
        for arguments, keywords in late.commits:
            store.commit(*arguments, **keywords)

    BatchLoop._commit = announce_first


class _Late:
    """A store that only records what should be committed."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.commits: list[tuple[Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def commit(self, *arguments: Any, **keywords: Any) -> None:
        self.commits.append((arguments, keywords))


def renamed_before_the_commit() -> None:
    commit, publish = CheckpointStore.commit, parts.publish

    def rename_first(self: Any, manifests: Any, **keywords: Any) -> None:
        publish(self.layout, manifests)
        parts.publish = lambda *_: None
        try:
            commit(self, manifests, **keywords)
        finally:
            parts.publish = publish

    CheckpointStore.commit = rename_first


def two_transactions() -> None:
    """The frontier is committed before the batches; a replay deletes the old batch before it commits the new one."""
    append = Catalog.append_batches

    def append_in_another(self: Any, manifests: Any, committed_at: Any) -> None:
        self._connection.commit()
        self._connection.begin()
        append(self, manifests, committed_at)

    Catalog.append_batches = append_in_another


def any_schema() -> None:
    """Batches are written with any columns, without a check."""
    SchemaPin.conform = lambda _self, _batch_id, frame: frame


MUTATIONS: dict[str, Callable[[], None]] = {
    mutation.__name__: mutation
    for mutation in (
        the_frontier_stays,
        announced_before_the_commit,
        renamed_before_the_commit,
        two_transactions,
        any_schema,
    )
}
