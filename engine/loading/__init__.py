"""From TARGET, a file or module with a pipeline in it, to the pipeline."""
