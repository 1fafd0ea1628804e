from __future__ import annotations

import polars as pl
import pytest

from engine.batch import Batch
from engine.errors import UsageError
from engine.steps.base import BatchStep, LazyBatchStep, StatefulBatchStep
from engine.testing import RunningTotal


class Plain(BatchStep):
    def process(self, batch):
        return batch


class Twice(LazyBatchStep):
    def lazy(self, frame):
        return frame.with_columns(y=pl.col("x") * 2)


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_step_needs_a_name(name):
    with pytest.raises(UsageError, match="name must be a non-empty text"):
        Plain(name)


def test_a_step_without_process_is_none():
    class Empty(BatchStep):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Empty("x")


def test_a_step_is_careful_unless_it_says_otherwise():
    step = Plain("x")
    assert (step.version, step.row_wise, step.concurrent, step.retry, dict(step.settings())) == (
        "1",
        True,
        False,
        None,
        {},
    )
    assert (step.setup(), step.teardown()) == (None, None)


def test_an_expression_runs_by_itself_as_well():
    batch = Twice("t").process(Batch(0, 0, 1, pl.DataFrame({"x": [1, 2]})))
    assert batch.data.rows() == [(1, 2), (2, 4)]
    assert Twice.concurrent


def test_a_stateful_step_runs_one_batch_at_a_time():
    assert not StatefulBatchStep.concurrent
    assert not StatefulBatchStep.row_wise


def test_a_state_goes_round():
    step = RunningTotal("sum")
    step.restore(None)
    step.process(Batch(0, 0, 2, pl.DataFrame({"id": [1, 2, 3]})))
    state = step.snapshot()
    step.process(Batch(1, 3, 3, pl.DataFrame({"id": [10]})))
    step.restore(state)
    assert step.process(Batch(1, 3, 3, pl.DataFrame({"id": [10]}))).data["total"].to_list() == [16]
