"""The command `batch-pipeline` as a user calls it, in a separate folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def batch_pipeline(folder, *arguments, **environment):
    """Run the command, which must succeed, and return what it wrote to stdout."""
    return subprocess.run(
        [Path(sys.executable).with_name("batch-pipeline"), *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
