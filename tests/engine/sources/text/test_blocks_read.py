from __future__ import annotations

import random
import zlib

import pytest

from engine.sources.identity import START
from engine.sources.text.blocks_read import BlocksRead

LINES = [b"\n", b"1,x\n", b"22,yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n", b"3\r\n"]
QUOTED = [*LINES, b'4,"two\nlines"\n', b'5,"a ""b""\n\n"\n']


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize(("kinds", "quote"), [(LINES, b""), (LINES, b'"'), (QUOTED, b'"')])
def test_a_mark_has_the_bytes_of_the_rows_before_it(seed, kinds, quote):
    chance = random.Random(seed)
    blocks = [[chance.choice(kinds) for _ in range(chance.randrange(1, 30))] for _ in range(4)]
    rows = [row for block in blocks for row in block]
    read, first = BlocksRead(START, quote=quote), 0
    for block in blocks:
        read.add(b"".join(block), first, len(block))
        for row in sorted(chance.sample(range(first, first + len(block) + 1), chance.randrange(len(block) + 1))):
            before = b"".join(rows[:row])
            mark = read.mark_before(row)
            assert (mark.end, mark.crc, mark.tail) == (len(before), zlib.crc32(before), None)
        first += len(block)
        assert read.end == len(b"".join(rows[:first]))


def test_where_rows_end_may_be_given():
    read = BlocksRead(START)
    read.add(b"1\n\n# no row\n2\n", 0, 2, [2, 14])
    assert [read.mark_before(row).end for row in (0, 1, 2)] == [0, 2, 14]


def test_rows_that_ended_with_the_file_are_marked_and_go_into_one_batch():
    read = BlocksRead(START, quote=b'"')
    read.add(b"1\n2\n", 0, 2)
    assert read.mark_before(1).tail is None
    read.add(b'"3\n4', 2, 2, [3, 4], last=True)
    assert [read.rows_before_tail(0, rows) for rows in (1, 2, 3, 4)] == [1, 2, 2, 4]
    assert read.rows_before_tail(2, 1) == 1
    assert [read.mark_before(row).tail for row in (2, 3, 4)] == [None, 2, 2]
