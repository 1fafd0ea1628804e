"""Everything that lets a run go on: the catalog, the parts, and what happens when they are opened.

`store` is the only module that the rest of the engine talks to; the others are its pieces. The order
of writes is told in `store.CheckpointStore.commit`, and each hazard of the storage engine beneath it
where it is met.
"""
