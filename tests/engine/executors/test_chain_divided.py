"""A batch that goes through the head in one process and through the rest in another comes out as from one chain."""

from __future__ import annotations

import polars as pl
import pytest
from contract_target import Refuses, Total
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engine import FilterBatchStep, WithColumnsBatchStep
from engine.batch import Batch
from engine.errors import StepFailed
from engine.events import StepFinished
from engine.executors.ray.split import with_placeholders
from engine.policy import Quarantine
from engine.steps.base import BatchStep
from engine.testing import EventLog, numbers
from engine.worker.chain import StepChain
from engine.worker.signals import StopSignal

ROWS = 8


class Whole(BatchStep):
    row_wise = False

    def __init__(self, name, *, concurrent):
        super().__init__(name)
        self.concurrent = concurrent

    def process(self, batch):
        return batch.with_data(batch.data.head(6))


bad = st.sets(st.integers(0, ROWS - 1), max_size=3) | st.just(set(range(ROWS)))
KINDS = st.one_of(
    st.builds(lambda ids, concurrent: lambda name: Refuses(name, ids, concurrent=concurrent), bad, st.booleans()),
    st.builds(lambda concurrent: lambda name: Whole(name, concurrent=concurrent), st.booleans()),
    st.builds(lambda row: lambda name: FilterBatchStep(name, pl.col("id") != row), st.integers(0, ROWS - 1)),
    st.just(lambda name: WithColumnsBatchStep(name, **{f"twice_{name}": pl.col("id") * 2})),
    st.just(Total),
)


def chain(steps, log, quarantine):
    return StepChain(steps, first_batch_id=0, retry=None, stop=StopSignal(), emit=log, quarantine=quarantine)


def came_of(function):
    """Return what a chain made of a batch as values that can be compared, or its failure."""
    try:
        processed = function()
    except StepFailed as error:
        return str(error)
    quarantined = [(rows.about, rows.frame.to_dicts()) for rows in processed.quarantined]
    rows = None if processed.frame is None else (processed.frame.schema, processed.frame.rows())
    timed = [(timing.steps, timing.rows_in, timing.rows_out) for timing in processed.timings]
    return rows, timed, processed.states, processed.attempts, processed.dropped, quarantined


def told(log):
    return [(event.step, event.rows_in, event.rows_out) for event in log.of(StepFinished)]


@settings(max_examples=150, deadline=None)
@given(st.lists(KINDS, min_size=1, max_size=6), st.booleans())
def test_it_comes_out_as_from_one_piece(kinds, quarantine):
    limits = Quarantine(None, None) if quarantine else None
    batch = Batch(0, 0, ROWS - 1, numbers(0, ROWS))

    def made():
        steps = [kind(str(number)) for number, kind in enumerate(kinds)]
        for step in steps:
            if isinstance(step, Total):
                step.restore(None)
        return steps

    one, two = EventLog(), EventLog()
    expected = came_of(lambda: chain(made(), one, limits).process(batch))

    def divided():
        partial = chain(with_placeholders(made()), two, limits).leading(batch)
        return chain(made(), two, limits).process(batch.with_data(batch.data.clear()), partial)

    assert came_of(divided) == expected
    assert told(two) == told(one)


def test_without_a_quarantine_the_rows_travel_once():
    steps = [WithColumnsBatchStep("a", twice=pl.col("id") * 2), Refuses("b", (), concurrent=False)]
    batch = Batch(0, 0, ROWS - 1, numbers(0, ROWS))
    assert chain(steps, EventLog(), None).leading(batch).start is None
    partial = chain(steps, EventLog(), Quarantine()).leading(batch)
    assert partial.start is not None
    assert_frame_equal(partial.start.batch.data, batch.data)


def test_a_stretch_that_begins_with_the_rest_is_not_sent_twice():
    steps = [Whole("a", concurrent=True), Refuses("b", (), concurrent=False)]
    batch = Batch(0, 0, ROWS - 1, numbers(0, ROWS))
    partial = chain(steps, EventLog(), Quarantine()).leading(batch)
    assert (partial.stages, partial.start) == (1, None)


def test_a_failure_that_no_row_is_to_blame_for_ends_in_the_head():
    batch = Batch(0, 0, ROWS - 1, numbers(0, ROWS))
    with pytest.raises(StepFailed, match="step 'a'"):
        chain([Refuses("a", {3}, concurrent=True), Total("b")], EventLog(), None).leading(batch)
