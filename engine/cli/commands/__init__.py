"""The commands of `batch-pipeline`, one file for those that belong together."""
