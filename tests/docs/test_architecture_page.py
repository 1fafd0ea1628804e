"""The map of the code names files that exist, and every folder of the engine and the dashboard is on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"\b(?:engine|tui|docs|bench|tests)/[\w/.-]*", PAGE)))


@pytest.mark.parametrize("name", NAMED)
def test_a_file_that_the_map_names_exists(name):
    assert (TOP / name.rstrip(".")).exists()


@pytest.mark.parametrize("package", ["engine", "tui"])
def test_every_folder_is_on_the_map(package):
    folders = {path.parent.name for path in (TOP / package).glob("*/__init__.py")}
    assert {folder for folder in folders if f"{package}/{folder}/" not in PAGE} == set()


def test_the_engine_has_at_most_ten_files_beside_its_folders():
    assert len([path for path in (TOP / "engine").iterdir() if path.suffix in {".py", ".pyi"}]) <= 10
