"""Everything that a run needs to continue later: the catalog, the parts, and the recovery when they are opened.

The rest of the engine opens `store`. It uses `recovery.recover` (recovery after a crash) and `catalog.history`
(runs and failures); these use `catalog.ledger` (the one writer of the catalog), which uses `catalog.catalog` (the
queries). The order of writes is in `store.CheckpointStore.commit`; each hazard of DuckDB is described where it matters.
"""
