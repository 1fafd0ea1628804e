import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import get_args, get_type_hints

import pytest

from engine.cli.json_lines import line
from engine.events import BatchFailed, Event, RunEnded
from engine.state import RunState

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

FAILED = BatchFailed(
    run_id=1,
    at=NOON,
    batch_id=2,
    start_row=20,
    end_row=29,
    step=None,
    attempts=1,
    error_type="OSError",
    message="postgresql://ann:hunter2@db/sales \x1b[31m \u202e",
    hint="",
    traceback="password=hunter2",
    row_numbers=(25,),
    examples=(("id",), (("25",),)),
)


def test_a_line_is_the_type_and_the_fields_with_iso_times():
    assert json.loads(line(RunEnded(1, NOON, RunState.FAILED, "no"))) == {
        "type": "RunEnded",
        "run_id": 1,
        "at": "2026-01-31T12:00:00+00:00",
        "state": "failed",
        "message": "no",
    }


def test_tuples_become_lists_and_none_becomes_null():
    content = json.loads(line(FAILED))
    assert content["examples"] == [["id"], [["25"]]]
    assert content["row_numbers"] == [25]
    assert content["step"] is None


def test_secrets_are_masked():
    assert "hunter2" not in line(FAILED)


def test_a_line_is_one_line_of_printable_ascii():
    assert line(FAILED).isascii()
    assert line(FAILED).isprintable()


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_every_event_is_a_line(kind):
    hints = get_type_hints(kind, localns={"datetime": datetime, "RunState": RunState})
    values = {str: "text", int: 1, float: 0.5, bool: True, datetime: NOON, RunState: RunState.INCOMPLETE}
    event = kind(**{field.name: values.get(hints[field.name], ()) for field in fields(kind)})
    content = json.loads(line(event))
    assert content.pop("type") == kind.__name__
    assert list(content) == [field.name for field in fields(kind)]
