"""What is decided on opening, as a table; the files themselves are in test_store_recovery."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.checkpoint.layout import Layout
from engine.checkpoint.parts.manifest import Manifest
from engine.checkpoint.recovery.plan import Plan, decide, survey

FIRST, SECOND = "a" * 16, "b" * 16


def batch(batch_id, attempt_id=FIRST, *, epoch=0, start_row=None):
    start_row = 10 * batch_id if start_row is None else start_row
    return Manifest(batch_id, start_row, start_row + 9, 10, 1, epoch, attempt_id)


def decided(names, *, committed=(), beyond=(), epoch=0):
    """`committed` are the catalog's batches from 0 on, `beyond` what the parts beyond them say of themselves."""
    by_id = {manifest.batch_id: manifest for manifest in committed}
    says = {manifest.batch_id: manifest for manifest in beyond}
    next_batch_id = len(by_id)
    next_row = by_id[next_batch_id - 1].end_row + 1 if by_id else 0
    return decide(
        survey(names, next_batch_id),
        next_batch_id=next_batch_id,
        next_row=next_row,
        epoch=epoch,
        committed=by_id.get,
        published=lambda batch_id: part(batch_id) in names,
        read_part=says.get,
    )


def part(batch_id):
    return f"part-{batch_id:012d}.parquet"


def temporary(batch_id, attempt_id=FIRST):
    return f".part-{batch_id:012d}-{attempt_id}.tmp"


def test_an_empty_folder_needs_nothing():
    assert decided([]) == Plan()


def test_committed_and_renamed_needs_nothing():
    assert decided([part(0), part(1)], committed=[batch(0), batch(1)]) == Plan()


def test_committed_and_not_renamed_is_published():
    plan = decided([part(0), temporary(1)], committed=[batch(0), batch(1)])
    assert plan == Plan(publish=[batch(1)])


def test_a_whole_group_committed_and_not_renamed_is_published():
    plan = decided([temporary(0), temporary(1), temporary(2)], committed=[batch(0), batch(1), batch(2)])
    assert plan == Plan(publish=[batch(0), batch(1), batch(2)])


def test_written_and_not_committed_is_deleted():
    assert decided([part(0), temporary(1)], committed=[batch(0)]) == Plan(delete_temporary=[(1, FIRST)])


def test_another_attempt_at_a_committed_batch_is_deleted():
    plan = decided([temporary(0, FIRST), temporary(0, SECOND)], committed=[batch(0, SECOND)])
    assert plan == Plan(publish=[batch(0, SECOND)], delete_temporary=[(0, FIRST)])


def test_a_replacement_that_was_not_committed_is_deleted():
    assert decided([part(0), temporary(0, SECOND)], committed=[batch(0, FIRST)]) == Plan(delete_temporary=[(0, SECOND)])


def test_a_replacement_that_was_committed_is_published():
    plan = decided([part(0), temporary(0, SECOND)], committed=[batch(0, SECOND)])
    assert plan == Plan(publish=[batch(0, SECOND)])


def test_a_part_that_is_missing_is_counted():
    plan = decided([part(1), part(2)], committed=[batch(0), batch(1), batch(2)])
    assert plan.missing == 1


def test_a_missing_part_is_not_made_up_for_by_a_replacement_of_another():
    plan = decided([part(1), temporary(1, SECOND)], committed=[batch(0), batch(1, SECOND)])
    assert plan.missing == 1


def test_left_by_a_rewind_is_deleted():
    plan = decided([part(0), part(1), part(2)], committed=[batch(0)], beyond=[batch(1), batch(2)], epoch=1)
    assert plan == Plan(delete_parts=[1, 2])


def test_of_this_epoch_beyond_the_frontier_is_taken_back_in():
    plan = decided([part(0), part(1), part(2)], committed=[batch(0)], beyond=[batch(1), batch(2)])
    assert plan == Plan(take_back=[batch(1), batch(2)])


def test_behind_a_gap_nothing_is_taken_back_in():
    plan = decided([part(0), part(2), part(3)], committed=[batch(0)], beyond=[batch(2), batch(3)])
    assert plan == Plan(delete_parts=[2, 3])


def test_with_a_gap_in_its_rows_nothing_is_taken_back_in():
    plan = decided(
        [part(0), part(1), part(2)], committed=[batch(0)], beyond=[batch(1, start_row=15), batch(2, start_row=25)]
    )
    assert plan == Plan(delete_parts=[1, 2])


def test_unreadable_beyond_the_frontier_is_set_aside_and_so_is_the_end_of_what_is_taken_back():
    plan = decided([part(0), part(1), part(2), part(3)], committed=[batch(0)], beyond=[batch(1), batch(3)])
    assert plan == Plan(take_back=[batch(1)], set_aside=[2], delete_parts=[3])


def test_a_part_that_says_it_is_another_batch_is_not_taken_back_in():
    names = [part(0), part(1)]
    plan = decide(
        survey(names, 1),
        next_batch_id=1,
        next_row=10,
        epoch=0,
        committed={0: batch(0)}.get,
        published=lambda batch_id: True,
        read_part=lambda batch_id: batch(2, start_row=10),
    )
    assert plan == Plan(delete_parts=[1])


def test_a_catalog_that_lost_everything_takes_everything_back_in():
    assert decided([part(0), part(1)], beyond=[batch(0), batch(1)]) == Plan(take_back=[batch(0), batch(1)])


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "part-1.parquet", "part-000000000001.parquet.set-aside", ".part-000000000001-XYZ.tmp", "part-"],
)
def test_what_is_not_ours_is_left_alone(name):
    assert decided([name]) == Plan()


def test_ids_beyond_twelve_digits_have_their_place():
    layout_name = f"part-{10**12:012d}.parquet"
    assert Layout.parse_part(layout_name) == 10**12


@given(
    committed=st.integers(0, 6),
    published=st.sets(st.integers(0, 9)),
    waiting=st.sets(st.tuples(st.integers(0, 9), st.sampled_from([FIRST, SECOND]))),
    readable=st.sets(st.integers(0, 9)),
)
def test_whatever_is_found_everything_has_one_fate_and_the_frontier_stays_contiguous(
    committed, published, waiting, readable
):
    names = [part(batch_id) for batch_id in published] + [temporary(*one) for one in waiting]
    plan = decided(
        names,
        committed=[batch(batch_id) for batch_id in range(committed)],
        beyond=[batch(batch_id) for batch_id in readable],
    )
    assert {(m.batch_id, m.attempt_id) for m in plan.publish} | set(plan.delete_temporary) == waiting
    assert all(m.batch_id < committed and m.attempt_id == FIRST for m in plan.publish)
    beyond = {batch_id for batch_id in published if batch_id >= committed}
    fates = [m.batch_id for m in plan.take_back] + plan.delete_parts + plan.set_aside
    assert sorted(fates) == sorted(beyond)
    taken = [m.batch_id for m in plan.take_back]
    assert taken == list(range(committed, committed + len(taken)))
    there = published | {m.batch_id for m in plan.publish}
    assert plan.missing == len(set(range(committed)) - there)
