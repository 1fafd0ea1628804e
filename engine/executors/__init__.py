"""Where batches are worked on. The batch loop knows only the `Executor` protocol of this package."""
