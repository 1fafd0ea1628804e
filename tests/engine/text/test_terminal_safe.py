import pytest

from engine.text.terminal_safe import safe, safe_lines


def test_plain_text_passes_unchanged():
    assert safe("row 216,447: LGA→ATL “703 mph” 北京 👍") == "row 216,447: LGA→ATL “703 mph” 北京 👍"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("a\r\nb\tc\x00", "a␍␊b␉c␀"),
        ("\x7f", "␡"),
        ("\x9b31m\x85", "\ufffd31m\ufffd"),
        ("\u202egpj.exe\u202c", "\ufffdgpj.exe\ufffd"),
        ("\u2066x\u2069\u200e\u200f\u061c", "\ufffdx\ufffd\ufffd\ufffd\ufffd"),
        ("pass\u200bword\u2060\ufeff", "pass\ufffdword\ufffd\ufffd"),
        ("one\u2028two\u2029", "one\ufffdtwo\ufffd"),
        ("\udcff", "\ufffd"),
        ("\U000e0041", "\ufffd"),
        ("a\u00a0b\u3000c", "a b c"),
    ],
)
def test_what_a_terminal_would_obey_becomes_visible(hostile, shown):
    assert safe(hostile) == shown


def test_every_character_of_the_result_is_printable():
    everything = "".join(map(chr, range(0x30000)))
    assert safe(everything, limit=len(everything)).isprintable()


@pytest.mark.parametrize(("limit", "shown"), [(5, "abcde"), (4, "abc…"), (1, "…")])
def test_long_text_is_cut_to_the_limit(limit, shown):
    assert safe("abcde", limit) == shown


def test_lines_are_kept_apart_and_made_safe_each():
    assert safe_lines("one\n\x1btwo\r\n\u2028three") == ["one", "␛two␍", "\ufffdthree"]


def test_more_lines_than_wanted_are_left_out():
    assert safe_lines("1\n2\n3\n4", most=2) == ["1", "2", "…"]
