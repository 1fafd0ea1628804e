"""A replay of the quarantine as a run: under the resume rules, with the steps set up, recorded in the history."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

from engine.events import Warned
from engine.runs import fingerprint, resume_rules
from engine.runs.delivery import Deliveries
from engine.runs.failure import RetryCount, note
from engine.runs.lifecycle import set_up, tear_down
from engine.runs.replay import Replay, Replayed
from engine.sources.base import SeekableFetcher
from engine.state import RunState

if TYPE_CHECKING:
    from engine.checkpoint.store import CheckpointStore
    from engine.events import Listener
    from engine.runs.plan import Plan
    from engine.worker.signals import StopSignal


def replay(plan: Plan, store: CheckpointStore, *, stop: StopSignal, emit: Listener, accept_changes: bool) -> Replayed:
    """Put the rows in quarantine through the plan's steps again, bring the sinks up to date, and record it as a run.

    Raises:
        PipelineChanged: as `run`; nothing was begun.
        StepError, CheckpointError, SinkError: what ended it. Rows that were through before are in the results.
    """
    current = fingerprint.description(plan.steps, plan.fetcher, plan.batch_size)
    seekable = isinstance(plan.fetcher, SeekableFetcher)
    changed = resume_rules.refuse_changes(
        store.history.pipeline(), current, seekable=seekable, accept=accept_changes, started=store.next_batch_id > 0
    )
    state = store.history.state()  # a replay leaves the frontier where it is
    run_id = store.history.begin_run(batch_size=plan.batch_size, pipeline=current, changed=changed)
    counting = RetryCount(emit)
    for notice in store.notices:
        emit(Warned(notice))
    checkpoint = json.dumps({"key": store.key, "pipeline": current})
    done = None
    try:
        with ExitStack() as cleanup:
            cleanup.callback(store.discard_uncommitted)
            for step in plan.steps:
                cleanup.callback(tear_down, step, emit)
                set_up(step, {}, store.next_batch_id)
            done = Replay(
                store,
                plan.steps,
                retry=plan.retry,
                part_format=plan.part_format,
                checkpoint=checkpoint,
                stop=stop,
                emit=counting,
            ).run()
            deliveries = Deliveries(plan.sinks, store, stop=stop, emit=counting)
            cleanup.callback(deliveries.close)
            deliveries.catch_up()
            if state.is_finished:
                state = RunState.at_end(store.rows_quarantined())
    finally:
        words = "broken off" if done is None else f"replayed {done.rows:,} rows, {done.still:,} still in quarantine"
        note(store, run_id, state, emit, message=words, retries=counting.retries)
    return done
