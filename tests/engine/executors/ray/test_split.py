from __future__ import annotations

import pytest
from contract_target import Noted, Total

from engine import Batch
from engine.executors.ray.split import leading_count, with_placeholders
from engine.steps.base import StatefulBatchStep
from engine.testing import numbers


@pytest.fixture
def steps(tmp_path):
    steps = [
        Noted("a", tmp_path, concurrent=True),
        Noted("b", tmp_path),
        Total("c"),
        Noted("d", tmp_path, concurrent=True),
    ]
    steps[1].on_error = "quarantine"
    steps[3].row_wise = False
    return steps


def test_the_head_ends_before_the_first_step_that_keeps_the_order(steps):
    assert [leading_count(steps[first:]) for first in range(5)] == [1, 0, 0, 1, 0]


def test_a_memory_keeps_the_order_whatever_it_says():
    step = Total("sum")
    step.concurrent = True
    assert leading_count([step]) == 0


def test_a_stand_in_has_what_the_engine_must_know_and_nothing_of_the_step(steps):
    sent = with_placeholders(steps)
    assert sent[0] is steps[0]
    assert [step.name for step in sent] == ["a", "b", "c", "d"]
    assert [step.row_wise for step in sent[1:]] == [True, False, False]
    assert [step.on_error for step in sent[1:]] == ["quarantine", None, None]
    assert [isinstance(step, StatefulBatchStep) for step in sent[1:]] == [False, True, False]
    assert not any(hasattr(step, "folder") or hasattr(step, "path") for step in sent[1:])


def test_a_stand_in_takes_no_batch(steps):
    for step in with_placeholders(steps)[1:]:
        with pytest.raises(AssertionError, match=f"step '{step.name}' got batch 0, but runs on another machine"):
            step.process(Batch(0, 0, 9, numbers(0, 10)))
