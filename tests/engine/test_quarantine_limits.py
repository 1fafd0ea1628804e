"""How many rows may be taken out: beyond that the run stops, and nothing is hidden."""

from __future__ import annotations

import pytest

from engine import BatchPipeline, Quarantine
from engine.errors import QuarantineFull
from engine.steps.base import BatchStep
from engine.testing import NumberSource, PickyStep


@pytest.fixture
def pipeline(tmp_path):
    def build(*steps, **options):
        return BatchPipeline(steps, NumberSource(100), 10, tmp_path / "ck", **options)

    return build


def frontier(run):
    return run.get_frontier().last_completed_batch_id


def test_over_the_count_the_run_stops_before_the_batch_and_keeps_those_before(pipeline):
    run = pipeline(PickyStep("a", {3, 14, 25, 26}), on_error=Quarantine(max_rows=3, max_fraction=None))
    with pytest.raises(QuarantineFull, match="with batch 2 it would be 4 rows, where 3 may be in quarantine") as caught:
        run.run()
    assert (caught.value.step, caught.value.batch_id) == ("a", 2)
    assert "raise the limit" in caught.value.hint
    assert frontier(run) == 1
    assert [row.source_row for row in run.quarantine.rows()] == [3, 14]
    assert run.failures()[0].error_type == "QuarantineFull"
    assert len(list((run.checkpoint_dir / "quarantine").iterdir())) == 2


def test_at_the_limit_it_goes_on(pipeline):
    run = pipeline(PickyStep("a", {3, 14, 25}), on_error=Quarantine(max_rows=3, max_fraction=None))
    run.run()
    assert frontier(run) == 9


def test_the_fraction_is_of_all_rows_so_far(pipeline):
    run = pipeline(PickyStep("a", {91, 92, 93}), on_error=Quarantine(max_rows=None, max_fraction=0.02))
    with pytest.raises(QuarantineFull, match=r"3 of 100 rows \(3.00 %\), where 2.00 %"):
        run.run()
    assert frontier(run) == 8
    early = pipeline(PickyStep("a", {3}), on_error=Quarantine(max_rows=None, max_fraction=0.02))
    with pytest.raises(QuarantineFull, match=r"at least 1 of 10 rows \(10.00 %\)"):
        early.run(resume=False)


def test_a_batch_of_bad_rows_alone_ends_the_search_early(pipeline):
    step = PickyStep("a", range(100))
    run = pipeline(step, on_error=Quarantine(max_rows=1, max_fraction=None), workers=1)
    with pytest.raises(QuarantineFull, match="at least 2 rows"):
        run.run()
    assert frontier(run) == -1


def test_a_whole_batch_that_is_too_large_stops_the_run(pipeline):
    class Whole(BatchStep):
        row_wise = False

        def process(self, batch):
            raise ValueError("no")

    run = pipeline(Whole("w"), on_error=Quarantine(max_rows=9, max_fraction=None))
    with pytest.raises(QuarantineFull, match="at least 10 rows, where 9"):
        run.run()


def test_earlier_runs_count_too(pipeline):
    step = PickyStep("a", {3, 14})
    run = pipeline(step, on_error=Quarantine(max_rows=1, max_fraction=None))
    for _ in range(2):
        with pytest.raises(QuarantineFull, match="2 rows, where 1 may be"):
            run.run()
        assert frontier(run) == 0
    run.run(on_error=Quarantine(max_rows=2, max_fraction=None))
    assert frontier(run) == 9


def test_no_limit_is_no_limit(pipeline):
    run = pipeline(PickyStep("a", range(100)), on_error=Quarantine(max_rows=None, max_fraction=None))
    run.run()
    assert run.collect_results().height == 0
    assert len(run.quarantine.rows()) == 100


def test_a_step_that_takes_rows_out_by_itself_has_the_usual_limits(pipeline):
    step = PickyStep("a", {3})
    step.on_error = "quarantine"
    run = pipeline(step)
    with pytest.raises(QuarantineFull, match=r"where 5.00 %"):
        run.run()
