from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are not packages

from contract_target import EXECUTORS, executors, made


@pytest.fixture(params=executors(*EXECUTORS))
def executor(request):
    return made(request)


@pytest.fixture(params=executors(*(name for name in EXECUTORS if "inline" not in name)))
def side_by_side(request):
    """An executor that works outside `submit`, so that a test can act at the same time."""
    return made(request)
