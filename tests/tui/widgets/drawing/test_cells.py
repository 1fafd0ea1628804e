from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.progress.view import BatchState
from tui.widgets.drawing.cells import WORST_FIRST, grid_shape, worst_states

P, R, C, D, F, E, Q = (
    BatchState.PENDING,
    BatchState.RUNNING,
    BatchState.COMPUTED,
    BatchState.COMMITTED,
    BatchState.FAILED,
    BatchState.EARLIER,
    BatchState.QUARANTINED,
)


def worst_one_by_one(states, per_cell):
    groups = [states[start : start + per_cell] for start in range(0, len(states), per_cell)]
    return bytes(min(group, key=WORST_FIRST.index) for group in groups)


@given(st.lists(st.sampled_from(list(BatchState)), max_size=300), st.integers(1, 400))
def test_cells_show_what_the_slow_and_plain_way_shows(states, per_cell):
    assert worst_states(bytes(states), per_cell) == worst_one_by_one(bytes(states), per_cell)


def test_every_state_has_its_rank():
    assert sorted(WORST_FIRST) == sorted(BatchState)


def test_one_failed_batch_in_a_hundred_is_seen():
    assert worst_states(bytes([D] * 70 + [F] + [D] * 29), 100) == bytes([F])


def test_a_cell_is_done_only_when_all_of_its_batches_are():
    assert worst_states(bytes([D, D, D, P, E, D]), 2) == bytes([D, P, D])


def test_what_is_going_on_hides_what_is_still_to_do():
    assert worst_states(bytes([D, R, P, D, C, P]), 3) == bytes([R, C])


def test_quarantined_batches_are_seen_among_done_ones():
    assert worst_states(bytes([D, Q, E]), 3) == bytes([Q])


def test_a_state_nobody_knows_counts_as_pending():
    assert worst_states(bytes([200, D]), 2) == bytes([P])


@given(st.integers(1, 2_000_000), st.integers(1, 200), st.integers(1, 60), st.booleans())
def test_every_batch_finds_its_cell_inside_the_pane(total, width, height, is_exact):
    grid = grid_shape(total, width, height, is_exact=is_exact)

    assert grid.cells * grid.per_cell >= total
    assert grid.rows <= height
    assert grid.columns * grid.pitch - (grid.pitch - 1) <= width


def test_a_growing_source_is_not_scaled_anew_with_every_batch():
    sizes = {grid_shape(total, 70, 10, is_exact=False).per_cell for total in range(1, 20_000)}

    assert sizes == {1, 2, 5, 10, 20, 50}
