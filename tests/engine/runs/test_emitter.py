from __future__ import annotations

import logging

import pytest

from engine.events import BatchStarted
from engine.runs.session import Emitter
from engine.testing import EventLog


def test_each_listener_gets_each_event_in_order():
    one, two = EventLog(), EventLog()
    emit = Emitter([one, two])
    emit(BatchStarted(0))
    emit(BatchStarted(1))
    assert one.all() == two.all() == [BatchStarted(0), BatchStarted(1)]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), GeneratorExit()])
def test_a_listener_that_raises_is_logged_and_hurts_nobody(caplog, error):
    def raises(event):
        raise error

    log = EventLog()
    with caplog.at_level(logging.ERROR):
        Emitter([raises, log])(BatchStarted(0))
    assert log.all() == [BatchStarted(0)]
    assert "a listener failed on BatchStarted and was ignored" in caplog.text


def test_an_interruption_of_the_user_is_no_fault_of_a_listener():
    def interrupted(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Emitter([interrupted])(BatchStarted(0))


def test_a_listener_that_raises_is_logged_once_with_its_number_at_the_end(caplog):
    def always(event):
        raise ValueError("always")

    def once(event):
        if event.batch_id == 3:
            raise ValueError("once")

    log = EventLog()
    with Emitter([always, once, log]) as emit:
        for batch_id in range(1_000):
            emit(BatchStarted(batch_id))
    assert len(log.all()) == 1_000
    assert [record.getMessage() for record in caplog.records] == [
        "a listener failed on BatchStarted and was ignored",
        "a listener failed on BatchStarted and was ignored",
        "a listener failed on 1,000 events in all",
    ]


def test_an_interruption_in_one_listener_reaches_the_others_before_it_is_raised():
    def interrupted(event):
        raise KeyboardInterrupt

    log = EventLog()
    with pytest.raises(KeyboardInterrupt):
        Emitter([interrupted, log])(BatchStarted(0))
    assert log.all() == [BatchStarted(0)]


def test_a_list_that_grows_meanwhile_changes_nothing():
    listeners = []
    emit = Emitter(listeners)
    listeners.append(EventLog())
    emit(BatchStarted(0))
    assert listeners[0].all() == []
