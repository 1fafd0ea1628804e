from __future__ import annotations

from dataclasses import fields

import pytest
from rich.cells import cell_len

from engine.progress.view import BatchState
from engine.state import RunState
from tui.look.glyphs import ASCII, UNICODE

SETS = pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=lambda glyphs: glyphs.name)
WIDER = {"name", "arrow", "null", "waiting"}


def marks(glyphs):
    for field in fields(glyphs):
        if field.name not in WIDER:
            value = getattr(glyphs, field.name)
            yield from value if isinstance(value, str) else value.values()


@SETS
def test_every_glyph_is_one_cell_wide(glyphs):
    assert {cell_len(mark) for mark in marks(glyphs)} == {1}


@SETS
def test_no_two_states_share_a_glyph(glyphs):
    assert len(set(glyphs.cells)) == len(BatchState)
    assert len(set(glyphs.runs.values())) == len(RunState)
    assert len({glyphs.bar_earlier, glyphs.bar_done, glyphs.bar_rest}) == 3


@SETS
def test_every_state_has_a_glyph(glyphs):
    assert set(glyphs.runs) == set(RunState)
    assert len(glyphs.cells) == max(BatchState) + 1
    assert len(glyphs.chart) == 9


def test_the_ascii_set_is_ascii():
    assert all(mark.isascii() for mark in marks(ASCII))
    assert (ASCII.arrow + ASCII.null + ASCII.waiting).isascii()
