"""Start the real command with a log that is compacted often: `fault_launcher.py ARGUMENT…`.

`FAULT_COMPACT_AT` is the greatest size of the log in bytes.
"""

from __future__ import annotations

import os
import sys

from engine.checkpoint.catalog import compaction
from engine.cli import main as run_app

if __name__ == "__main__":
    compaction.COMPACT_AT_BYTES = int(os.environ.get("FAULT_COMPACT_AT", "2000"))
    sys.exit(run_app(sys.argv[1:]))
