from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest

from engine.sources.ndjson.parser import LineParser

DTYPES = {
    "id": pl.Int64(),
    "text": pl.String(),
    "price": pl.Float64(),
    "yes": pl.Boolean(),
    "small": pl.Int8(),
    "half": pl.Float32(),
    "big": pl.UInt64(),
    "day": pl.Date(),
    "at": pl.Datetime("us"),
    "sum": pl.Decimal(20, 2),
    "kind": pl.Enum(["a", "b"]),
    "list": pl.List(pl.Int64()),
    "box": pl.Struct({"x": pl.Int64(), "in": pl.List(pl.Struct({"z": pl.Boolean()}))}),
}

GOOD = [
    (b'{"id": 1, "text": "x"}', {"id": 1, "text": "x"}),
    (b'{"id":1,"text":null}\r', {"id": 1}),
    (b" {}\t", {}),
    (b'{"text":":x","price":2}', {"text": ":x", "price": 2.0}),
    (b'{"text" : "a : b"}', {"text": "a : b"}),
    (b'{"text":"\\ud83d\\ude00 \\u00eb"}', {"text": "😀 ë"}),
    (b'{"text":"\\\\ud800"}', {"text": "\\ud800"}),
    (b'{"text":{"a":1}}', {"text": '{"a": 1}'}),
    (b'{"text":5}', {"text": "5"}),
    (b'{"unknown":null,"id":1}', {"id": 1}),
    (b'{"id":1,"id":null}', {"id": 1}),
    (b'{"small":-128,"half":1.5,"big":18446744073709551615}', {"small": -128, "half": 1.5, "big": 2**64 - 1}),
    (b'{"day":"2026-01-31"}', {"day": date(2026, 1, 31)}),
    (b'{"at":"2026-01-31T10:00:00.5"}', {"at": datetime(2026, 1, 31, 10, 0, 0, 500_000)}),
    (b'{"sum":1.25}', {"sum": Decimal("1.25")}),
    (b'{"sum":"1234567890123456.78"}', {"sum": Decimal("1234567890123456.78")}),
    (b'{"sum":12345678901234567}', {"sum": Decimal("12345678901234567.00")}),
    (b'{"kind":"a"}', {"kind": "a"}),
    (b'{"list":[1,null]}', {"list": [1, None]}),
    (b'{"box":{"x":1,"in":[{"z":true},null,{}]}}', {"box": {"x": 1, "in": [{"z": True}, None, {"z": None}]}}),
]

BAD = [
    (b"nonsense", "isn't JSON"),
    (b'{"id":1', "isn't JSON"),
    (b'{"id":1}{"id":2}', "isn't JSON: Extra data"),
    (b'{"id":1,}', "isn't JSON"),
    (b"{'id':1}", "isn't JSON"),
    (b'{"price":NaN}', "NaN is no JSON value"),
    (b'{"price":1e999}', "1e999 is too large"),
    (b'{"text":' + b"9" * 60 + b"}", "is too large"),
    (b'{"text":"\t"}', "control character"),
    (b'{"text":"\xff"}', "byte 0xff of it isn't UTF-8"),
    (b'{"text":"\\ud800"}', "half of a surrogate pair"),
    (b'{"text":' + b"[" * 2000 + b"]" * 2000 + b"}", "DepthLimitExceeded"),
    (b"[1]", "it is a list, not an object"),
    (b"null", "it is the value null, not an object"),
    (b"\x0b", "isn't JSON"),
    (b'{"id":"x"}', "key 'id' is \"x\", which isn't Int64"),
    (b'{"id":1.0}', "key 'id' is 1.0, which isn't Int64"),
    (b'{"id":true}', "key 'id' is true, which isn't Int64"),
    (b'{"id":9223372036854775808}', "which isn't Int64"),
    (b'{"price":"1"}', "which isn't Float64"),
    (b'{"yes":1}', "which isn't Boolean"),
    (b'{"small":128}', "key 'small' is 128, which isn't Int8"),
    (b'{"half":1e39}', "which isn't Float32"),
    (b'{"big":-1}', "which isn't UInt64"),
    (b'{"day":"31.1.2026"}', "which isn't Date"),
    (b'{"day":5}', "which isn't Date"),
    (b'{"at":"2026-01-31T25:00:00"}', "which isn't Datetime"),
    (b'{"sum":1.255}', "which isn't Decimal"),
    (b'{"sum":1234567890123456.78}', "a JSON number with a fraction is exact for 15 digits only"),
    (b'{"kind":"c"}', "which isn't Enum"),
    (b'{"list":1}', "key 'list' is 1, which isn't List"),
    (b'{"list":["1"]}', "key 'list[]' is \"1\", which isn't Int64"),
    (b'{"box":{"x":1.5}}', "key 'box.x' is 1.5, which isn't Int64"),
    (b'{"box":[]}', "which isn't Struct"),
    (b'{"z":1}', "its key 'z' has no column"),
    (b'{"z" :1}', "its key 'z' has no column"),
    (b'{"box":{"y":1}}', "its key 'box.y' has no column"),
    (b'{"box":{"in":[{"q":1}]}}', "its key 'box.in[].q' has no column"),
    (b'{"id":1,"id":2}', "its key 'id' comes twice"),
    (b'{"id":null,"id":2}', "its key 'id' comes twice"),
    (b'{"text":{"a":1,"a":2}}', "its key 'a' comes twice"),
]


@pytest.fixture(scope="module")
def parser():
    return LineParser(DTYPES, all_keys=True)


def short(value):
    return value[:40] if isinstance(value, bytes) else ""


@pytest.mark.parametrize("neighbour", [b"", b'\n{"id":7}\n', b"\nnonsense\n", b'\n{"z":1}\n', b'\n\n{"day":"x"}\n'])
@pytest.mark.parametrize(("line", "row"), GOOD, ids=short)
def test_a_good_line_is_a_row_whatever_its_neighbours_are(parser, line, row, neighbour):
    frame, bad = parser.parse(line + neighbour)
    assert frame.row(0, named=True) == dict.fromkeys(DTYPES) | row
    assert frame.height + len(bad) == (2 if neighbour else 1)
    assert dict(frame.schema) == DTYPES


@pytest.mark.parametrize("neighbour", [b"", b'\n{"id":7}\n', b"\nnonsense\n", b'\n{"z":1}\n', b'\n\n{"day":"x"}\n'])
@pytest.mark.parametrize(("line", "reason"), BAD, ids=short)
def test_a_bad_line_is_named_whatever_its_neighbours_are(parser, line, reason, neighbour):
    frame, bad = parser.parse(b"\n" + line + neighbour)
    assert (bad[0].row, bad[0].start, bad[0].text) == (0, 1, line)
    assert reason in bad[0].reason
    assert frame.height + len(bad) == (2 if neighbour else 1)
    assert dict(frame.schema) == DTYPES


def test_keys_without_a_column_are_ignored_if_the_columns_were_chosen():
    frame, bad = LineParser({"id": pl.Int64()}, all_keys=False).parse(b'{"id":1,"z":2}\n{"z":{"id":3}}\n')
    assert (frame.rows(), list(bad)) == ([(1,), (None,)], [])


def test_a_large_block_names_its_few_bad_lines(parser):
    lines = [b'{"id":%d,"text":"some text %d"}' % (n, n) for n in range(20_000)]
    for row in (0, 7, 19_999):
        lines[row] = b'{"id":"%d"}' % row
    frame, bad = parser.parse(b"\n".join(lines) + b"\n")
    assert [line.row for line in bad] == [0, 7, 19_999]
    assert frame["id"].to_list() == [n for n in range(20_000) if n not in {0, 7, 19_999}]
    assert all(b"\n".join(lines)[line.start :].startswith(line.text + b"\n"[: line.row < 19_999]) for line in bad)


@pytest.mark.parametrize(
    "text",
    [b":", b"a:b", b'{":', b"[:]", b"\\u003a", b'\\":null', b":null", b'\\u003A\\":'],
    ids=lambda text: text.decode(),
)
def test_colons_in_texts_never_hide_a_key_without_a_column(parser, text):
    good = b'{"id":1,"text":"' + text.replace(b'{":', b'{\\":') + b'"}'
    hidden = good[:-1] + b',"z":7}'
    for block in (good + b"\n", good + b'\n{"id":null}\n'):
        assert parser.parse(block)[1] in ((), [])
    for block in (hidden + b"\n", good + b"\n" + hidden + b"\n", b'{"id":null}\n' + hidden + b"\n"):
        (bad,) = parser.parse(block)[1]
        assert (bad.text, bad.reason) == (hidden, "its key 'z' has no column")
