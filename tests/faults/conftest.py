"""Makes the modules in this folder importable, and defines the fixtures of these tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are not packages


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library that makes system calls fail, built from `shim.c`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).parent / "shim.c"
    subprocess.run([compiler, "-Wall", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture(scope="session")
def expected():
    import kill_target

    return kill_target.expected()


@pytest.fixture(scope="session")
def finished(tmp_path_factory, expected):
    """A checkpoint whose run wasn't interrupted: the others are compared with it, or start as a copy of it."""
    from kill_victim import Victim

    victim = Victim(tmp_path_factory.mktemp("uninterrupted") / "checkpoint", expected)
    victim.finish()
    return victim.folder


@pytest.fixture
def victim(tmp_path, expected):
    from kill_victim import Victim

    return Victim(tmp_path / "checkpoint", expected)
