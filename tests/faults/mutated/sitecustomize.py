"""Python imports this at its start when this folder is in PYTHONPATH: it breaks the engine as ENGINE_MUTATION says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if os.environ.get("ENGINE_MUTATION"):
    sys.path.append(str(Path(__file__).parents[1]))
    from mutations import MUTATIONS

    MUTATIONS[os.environ["ENGINE_MUTATION"]]()
