"""The examples in docstrings are true. (`--doctest-modules` would parse all test files too, in each process.)"""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
WITH_EXAMPLES = [
    ".".join(path.relative_to(TOP).with_suffix("").parts)
    for package in ("engine", "tui")
    for path in sorted((TOP / package).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_say(name):
    ended = doctest.testmod(import_module(name))
    assert ended.attempted
    assert not ended.failed
