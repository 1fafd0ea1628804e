from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are not packages

from contract_target import EXECUTORS


@pytest.fixture(params=EXECUTORS)
def executor(request):
    return EXECUTORS[request.param]()


@pytest.fixture(params=[name for name in EXECUTORS if "inline" not in name])
def side_by_side(request):
    """An executor that doesn't do the work inside `submit`, so that a test can act meanwhile."""
    return EXECUTORS[request.param]()
