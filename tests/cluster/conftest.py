from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are not packages


@pytest.fixture
def executor(cluster):
    from engine import RayExecutor

    return RayExecutor(cluster.address)
