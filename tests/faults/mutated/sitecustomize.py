"""Breaks the engine as ENGINE_MUTATION says. Python imports this at its start if the folder is in PYTHONPATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if os.environ.get("ENGINE_MUTATION"):
    sys.path.append(str(Path(__file__).parents[1]))
    from mutations import MUTATIONS

    MUTATIONS[os.environ["ENGINE_MUTATION"]]()
