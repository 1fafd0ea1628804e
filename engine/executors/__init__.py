"""Where the steps run. The runner talks to the `Executor` protocol and to nothing else in here."""
