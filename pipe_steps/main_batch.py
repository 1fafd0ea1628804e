"""The demonstration as `python -m pipe_steps.main_batch`, the same as `batch-pipeline` without arguments."""

import sys

from engine.cli import main

if __name__ == "__main__":
    sys.exit(main([]))
