"""`python -m engine.cli` is `batch-pipeline`."""

import sys

from engine.cli import main

sys.exit(main())
