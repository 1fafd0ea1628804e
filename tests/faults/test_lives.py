"""Random pipelines live random lives: after each call the checkpoint is exactly what a model in memory says.

Calls are runs, replays and moves of the frontier; rows are bad, sources grow, steps fail and are mended, and calls are
cut off: by a photograph of the folder (what a kill leaves), by a disk that fails, in the long form by real kills too.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import kill_points
import life_cuts
import life_model
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from kill_count import KILLS
from life_pipeline import CALM, STEPS, Life, Mishap, pipeline
from warm_process import WarmProcess

from engine import Frontier, PipelineError
from engine.checkpoint.catalog import compaction
from engine.checkpoint.store import CheckpointStore
from engine.results.quarantine import QuarantineView
from engine.results.view import CheckpointView

if TYPE_CHECKING:
    from collections.abc import Callable

    from life_model import State

LAUNCHER = Path(__file__).parent / "life_launcher.py"
LIVES = int(os.environ.get("LIVES", "400"))
KILLED_LIVES = int(os.environ.get("KILLED_LIVES", "100"))

kinds = st.lists(st.sampled_from([0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]), max_size=14).map(tuple)


@dataclass(frozen=True)
class Way:
    """How a run is made: what goes wrong in it, the limits of the quarantine, workers and batch size."""

    mishap: Mishap
    limits: tuple[int | None, float | None] | None
    workers: int
    size: int


NO_LIMITS = (None, None)

many_kinds = st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 3, 3, 4, 5, 6]), min_size=8, max_size=24).map(tuple)
orders = st.permutations(STEPS).flatmap(lambda order: st.integers(1, len(order)).map(lambda n: tuple(order[:n])))
batches = st.none() | st.integers(0, 8)
mishaps = st.just(CALM) | st.builds(
    Mishap,
    fetch_fails_at=batches,
    step_fails_at=batches,
    transient_at=batches,
    transient_times=st.integers(1, 4),
    stops_at=batches,
    stops_now=st.booleans(),
)
limits = st.sampled_from([(None, None), (None, None), None, (3, None), (None, 0.3)])
ways = st.builds(Way, mishaps, limits, st.integers(1, 3), st.integers(1, 6))
cuts = st.none() | st.tuples(st.sampled_from(["photograph", "fail"]), st.integers(4, 110))


class Lives(RuleBasedStateMachine):
    """`state` is what the model says that is committed; `recorded` is the pipeline on record: version, batch size.

    No rule depends on the state: how far a call gets that is cut off is up to its threads.
    """

    @initialize(order=orders, plain=st.booleans(), first=many_kinds, size=st.integers(1, 6), compacted=st.booleans())
    def begin(self, order, plain, first, size, compacted):
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name) / "checkpoint"
        self.life = Life(order, plain, first, size)
        self.state: State = ()
        self.recorded: tuple[str, int] | None = None
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(compaction, "COMPACT_AT_BYTES", 6_000 if compacted else 1 << 30)

    def teardown(self):
        if not hasattr(self, "place"):
            return
        try:
            size = self.recorded[1] if self.recorded and self.state else self.life.batch_size
            self.life = replace(self.life, mended=2, version="last", batch_size=size)
            self.run(Way(CALM, NO_LIMITS, 2, size), accept=True, cut=None)
            self.replay(accept=False, cut=None)
            assert all(aside.obstacle for done in self.state for aside in done.asides)
            assert (self.state[-1].end_row + 1 if self.state else 0) == len(self.life.kinds)
        finally:
            self.patch.undo()
            self.place.cleanup()

    # --- what changes outside -------------------------------------------------------------------------

    @rule(more=kinds)
    def grow(self, more):
        self.life = replace(self.life, kinds=self.life.kinds + more)

    @precondition(lambda self: self.life.mended < 2)
    @rule(said=st.booleans())
    def mend(self, said):
        version = str(self.life.mended + 2) if said else self.life.version
        self.life = replace(self.life, mended=self.life.mended + 1, version=version)

    # --- calls ----------------------------------------------------------------------------------------

    @rule(way=ways, accept=st.booleans(), cut=cuts)
    def run(self, way, accept, cut):
        life = self.alive(way, self.life.batch_size if self.life.plain else way.size)
        if self.refuses(accept=accept):
            states, fails = [self.state], True
        else:
            states, fails = life_model.run(life, self.state)
        self.call(
            life,
            lambda run: run.run(accept_changes=accept),
            ["run", *["accept"][:accept]],
            states,
            fails=fails,
            cut=cut,
        )

    @rule(workers=st.integers(1, 3), cut=cuts)
    def go_on(self, workers, cut):
        self.run(Way(CALM, NO_LIMITS, workers, self.life.batch_size), accept=True, cut=cut)

    @rule(way=ways, cut=cuts)
    def run_afresh(self, way, cut):
        life = self.alive(way, way.size)
        states, fails = life_model.run(life, ())
        self.call(
            life, lambda run: run.run(resume=False), ["run", "fresh"], [self.state, *states], fails=fails, cut=cut
        )

    @precondition(lambda self: self.life.mended < 2)
    @rule(said=st.booleans(), cut=cuts)
    def mend_and_replay(self, said, cut):
        self.mend(said)
        self.replay(accept=True, cut=cut)

    @rule(accept=st.booleans(), cut=cuts)
    def replay(self, accept, cut):
        fails = bool(self.quarantined) and self.refuses(accept=accept)
        states = [self.state] if fails else life_model.replay(self.life, self.state)
        before = self.quarantined
        replayed = self.call(
            self.life,
            lambda run: run.quarantine.replay(accept_changes=accept),
            ["replay", *["accept"][:accept]],
            states,
            fails=fails,
            cut=cut,
        )
        if replayed is not None:
            assert (replayed.rows, replayed.still) == (before - self.quarantined, self.quarantined)

    @rule(share=st.sampled_from([0, 0.3, 0.6, 0.9, 1]), cut=cuts)
    def rewind(self, share, cut):
        batch_id = max(int(share * len(self.state)) - 1, -1)
        states = [self.state, self.state[: batch_id + 1]]
        words = ["rewind", str(batch_id)]

        def go_back(run):
            return run.reset_frontier() if batch_id < 0 else run.rewind(batch_id)

        self.call(self.life, go_back, words, states, fails=False, cut=cut)

    # --- what must hold -------------------------------------------------------------------------------

    @property
    def quarantined(self) -> int:
        return sum(done.quarantined for done in self.state)

    def alive(self, way: Way, size: int) -> Life:
        self.life = replace(self.life, batch_size=size)
        return replace(self.life, mishap=way.mishap, limits=way.limits, workers=way.workers)

    def refuses(self, *, accept: bool) -> bool:
        if self.recorded is None or not self.state:
            return False
        version, size = self.recorded
        if self.life.plain and size != self.life.batch_size:
            return True
        return version != self.life.version and not accept

    def call(self, life: Life, call: Callable, words: list[str], states: list[State], *, fails: bool, cut):
        """Make the call, which goes through `states`; return what it returns when nothing has cut it off."""
        kind, number = cut or ("", 0)
        if kind == "die":
            self.killed(life, words, states, number)
            return None
        copy = Path(self.place.name) / "photograph"
        strike = life_cuts.photograph(self.folder, copy) if kind == "photograph" else life_cuts.fail
        if kind == "photograph":
            life = replace(life, workers=None)
        answer, failed = None, False
        with life_cuts.cutting(life_cuts.Cut(number, strike)) as struck:
            try:
                answer = call(pipeline(life, self.folder))
            except PipelineError:
                failed = True
        if struck.struck and kind == "photograph":
            shutil.rmtree(self.folder)
            if copy.exists():
                copy.rename(self.folder)
        elif not struck.struck and life.mishap.stops_at is None:
            assert failed == fails, f"failed: {failed}, and should: {fails}"
            states = states[-1:]
        self.look(life, states)
        return None if struck.struck else answer

    def killed(self, life: Life, words: list[str], states: list[State], number: int) -> None:
        code, talk = WarmProcess(
            LAUNCHER, life.to_json(), self.folder, number, *words, environment=os.environ
        ).communicate()
        if code == -signal.SIGKILL:
            KILLS["at a random step of a random call"] += 1
        else:
            assert code in {0, 1}, talk
            assert "Traceback" not in talk, talk
        self.look(life, states)

    def look(self, life: Life, states: list[State]) -> None:
        """The folder shows exactly one of these states, whoever looks; it is the model's from now on."""
        run = pipeline(replace(life, mishap=CALM, workers=1), self.folder)
        mirror = self.folder / "frontier.json"
        told = Frontier.load(mirror).next_batch_id if mirror.exists() else 0
        if not CheckpointView(self.folder).exists():
            assert () in states
            assert told == 0
            self.state = ()
            return
        with CheckpointStore(self.folder) as store:
            assert told <= store.next_batch_id, "frontier.json was ahead of the catalog"
            manifests = store.batches(0, 1_000)
            frontier = store.frontier(["flaky", *life.order])
            result_rows, rows_quarantined = store.result_row_count(), store.rows_quarantined()
            listed = [
                (row.batch_id, row.source_row, row.step, row.input and json.loads(row.input)["id"], bool(row.obstacle))
                for row in QuarantineView(lambda: nullcontext(store)).rows(None)
            ]
            recorded = store.history.pipeline()
        assert [manifest.batch_id for manifest in manifests] == list(range(frontier.next_batch_id))
        assert frontier.next_row == frontier.total_rows_processed == (manifests[-1].end_row + 1 if manifests else 0)
        assert Frontier.load(mirror).next_batch_id == run.get_frontier().next_batch_id == frontier.next_batch_id
        rows = run.collect_results().to_dicts()
        seen = [
            (one.start_row, one.end_row, one.rows_out, one.rows_quarantined, (one.states or {}).get("total", 0))
            for one in manifests
        ]
        shown = [(counters(state), results(state), list(life_model.quarantine(state))) for state in states]
        assert (seen, rows, listed) in shown, f"\n{(seen, rows, listed)}\nis none of\n" + "\n".join(map(str, shown))
        self.state = states[shown.index((seen, rows, listed))]
        assert (result_rows, rows_quarantined) == (len(rows), len(listed))
        self.no_litter()
        content = json.loads(recorded) if recorded else None
        now = content and (content["steps"][0]["version"], content["batch_size"])
        assert now in {self.recorded, (life.version, life.batch_size)}
        self.recorded = now

    def no_litter(self) -> None:
        parts = [path.name for path in sorted((self.folder / "results").iterdir())]
        assert parts == [f"part-{batch_id:012d}.parquet" for batch_id in range(len(self.state))]
        kept = list((self.folder / "quarantine").iterdir()) if (self.folder / "quarantine").exists() else []
        assert len(kept) == sum(len(done.asides) for done in self.state), f"files of nobody: {kept}"
        assert not [path.name for path in self.folder.iterdir() if ".tmp" in path.name]


def counters(state: State) -> list[tuple[int, int, int, int, int]]:
    return [(done.start_row, done.end_row, len(done.out), done.quarantined, done.total) for done in state]


def results(state: State) -> list[life_model.Row]:
    return [row for done in state for row in done.out]


class KilledLives(Lives):
    """The same with real kills, of processes of their own."""

    @rule(more=many_kinds, number=st.integers(5, 60), workers=st.integers(1, 3), fresh=st.booleans())
    def run_and_die(self, more, number, workers, fresh):
        self.grow(more)
        way = Way(CALM, NO_LIMITS, workers, self.life.batch_size)
        if fresh:
            self.run_afresh(way, cut=("die", number))
        else:
            self.run(way, accept=True, cut=("die", number))

    @rule(more=many_kinds, number=st.integers(5, 40))
    def replay_and_die(self, more, number):
        self.life = replace(self.life, mended=0)
        self.grow(more)
        self.go_on(2, None)
        self.life = replace(self.life, mended=1)
        self.replay(accept=True, cut=("die", number))

    @rule(share=st.sampled_from([0, 0.5, 1]), number=st.integers(1, 30))
    def rewind_and_die(self, share, number):
        self.rewind(share, cut=("die", number))


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": False}
if os.environ.get("ENGINE_MUTATION"):  # to be noticed, not to be understood: shrinking takes minutes
    QUIET["phases"] = [Phase.generate]


def test_a_pipeline_is_what_the_model_says_whatever_befalls_it():
    run_state_machine_as_test(
        Lives, settings=settings(max_examples=12, stateful_step_count=12, derandomize=True, **QUIET)
    )


@pytest.mark.long
def test_many_pipelines_are_what_the_model_says_whatever_befalls_them():
    run_state_machine_as_test(Lives, settings=settings(max_examples=LIVES, stateful_step_count=25, **QUIET))


@pytest.mark.long
def test_killed_pipelines_are_what_the_model_says():
    assert kill_points.POINTS
    run_state_machine_as_test(
        KilledLives, settings=settings(max_examples=KILLED_LIVES, stateful_step_count=12, **QUIET)
    )
