from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from engine.text.terminal_safe import safe
from tui.widgets.drawing.line import (
    centre_words,
    crop_line,
    cut_middle,
    cut_text,
    fit_text,
    join_fitting,
    line_text,
    line_width,
    spread_line,
    wrap_text,
)

TEXTS = st.text(
    st.sampled_from("ab c[/]漢字🚀é\u0301\x1b\u202e") | st.characters(), max_size=60
).map(safe)  # fmt: skip
WIDTHS = st.integers(0, 40)


@given(TEXTS, WIDTHS)
def test_a_cut_text_is_never_wider_than_asked(text, width):
    assert cell_len(cut_text(text, width)) <= width
    assert cell_len(cut_middle(text, width)) <= width


@given(TEXTS, WIDTHS, st.booleans())
def test_a_fitted_text_is_exactly_as_wide_as_asked(text, width, right):
    assert cell_len(fit_text(text, width, right=right)) == width


@given(TEXTS, st.integers(2, 40))
def test_wrapping_loses_nothing_but_blanks(text, width):
    lines = wrap_text(text, width)

    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.lists(TEXTS, max_size=5), WIDTHS)
def test_a_cropped_line_is_never_wider_than_asked(texts, width):
    line = tuple((text, "") for text in texts)

    assert line_width(crop_line(line, width)) <= width
    assert line_width(spread_line(line, (("right", ""),), width)) == width or width < len("right")


def test_something_cut_off_always_leaves_a_mark():
    assert line_text(crop_line((("abc", ""), ("def", "")), 3)) == "ab…"
    assert line_text(crop_line((("漢字", ""), ("x", "")), 4)) == "漢…"


def test_parts_that_do_not_fit_whole_are_left_off():
    parts = [(("p50 12ms", ""),), (("p95 98ms", ""),)]

    assert line_text(join_fitting(parts, ("  ", ""), 17)) == "p50 12ms"
    assert line_text(join_fitting(parts, ("  ", ""), 5)) == "p50 …"


def test_a_long_message_is_wrapped_under_its_mark():
    lines = centre_words((("✗ ", "bad"), ("the catalog is locked", "")), 14, 5)

    assert [line_text(line) for line in lines] == ["", "✗ the catalog", "  is locked"]


def test_a_wide_character_in_a_column_too_narrow_for_it_and_its_indent_ends_all_the_same():
    assert wrap_text("  漢字", 2) == ["漢", "字"]
    assert wrap_text("   漢字", 1) == ["漢", "字"]
