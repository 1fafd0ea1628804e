"""Between the engine and the screen: the thread that runs a pipeline, and what is read from its checkpoint."""
