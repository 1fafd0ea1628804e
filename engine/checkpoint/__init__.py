"""Everything that lets a run go on: the catalog, the parts, and what happens when they are opened.

`store` is what the rest of the engine opens; the others are its pieces. It stands on `mending` (what opening does
about a crash) and `history` (runs and failures), these on `ledger` (the catalog as its one writer keeps it), and
that on `catalog` (the queries). The order of writes is told in `store.CheckpointStore.commit`, and each hazard of
the storage engine beneath it where it is met.
"""
