"""The output of a pipeline: its results, and the rows in quarantine."""
