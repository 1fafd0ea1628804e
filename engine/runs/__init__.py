"""What a pipeline can be asked to do: run, replay, recompute."""
