"""Batches as tasks of a Ray cluster."""
