from __future__ import annotations

import dataclasses
import inspect

import pytest

from engine import BatchPipeline
from engine.errors import UsageError
from engine.runs.plan import Plan
from engine.testing import NumberSource


def test_every_option_of_a_pipeline_is_a_field_of_its_plan():
    options = list(inspect.signature(BatchPipeline).parameters)
    assert sorted(options) == sorted(field.name for field in dataclasses.fields(Plan))


def test_a_plan_can_not_be_changed_into_one_that_is_wrong(tmp_path):
    pipeline = BatchPipeline([], NumberSource(5), 10, tmp_path)
    with pytest.raises(UsageError, match="can't be called"):
        pipeline.batch_fetcher = 5
    with pytest.raises(UsageError, match="batch_size"):
        dataclasses.replace(pipeline._plan, batch_size=0)
