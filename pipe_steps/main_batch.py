"""The demonstration, as `python -m pipe_steps.main_batch`; `batch-pipeline` without arguments is the same."""

import sys

from engine.cli import main

if __name__ == "__main__":
    sys.exit(main([]))
