import json
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import get_args, get_type_hints

import pytest

from engine.cli.json_lines import line
from engine.events import BatchFailed, Event, FailureRecord, RunEnded
from engine.state import RunState

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

FAILED = BatchFailed(
    FailureRecord(
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


def test_the_fields_of_a_value_inside_stand_among_the_others():
    assert json.loads(line(FAILED)) == {
        "type": "BatchFailed",
        "run_id": 1,
        "at": "2026-01-31T12:00:00+00:00",
        "batch_id": 2,
        "start_row": 20,
        "end_row": 29,
        "step": None,
        "attempts": 1,
        "error_type": "OSError",
        "message": "postgresql://ann:***@db/sales \x1b[31m \u202e",
        "hint": "",
        "traceback": "password=***",
        "row_numbers": [25],
        "examples": [["id"], [["25"]]],
    }


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_every_event_is_a_line(kind):
    names = []

    def example(kind):
        hints = get_type_hints(kind, localns={"datetime": datetime, "RunState": RunState})
        values = {str: "text", int: 1, float: 0.5, bool: True, datetime: NOON, RunState: RunState.INCOMPLETE}
        content = {}
        for field in fields(kind):
            hint = hints[field.name]
            if is_dataclass(hint):
                content[field.name] = example(hint)
            else:
                names.append(field.name)
                content[field.name] = values.get(hint, ())
        return kind(**content)

    content = json.loads(line(example(kind)))
    assert content.pop("type") == kind.__name__
    assert list(content) == names
    assert len(set(names)) == len(names)
