"""A pipeline on a real cluster of several nodes gives what it gives in this process, whatever dies."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import cluster_target
import polars as pl
import pytest
from cluster_checks import DEATHS, Listened, finished, kill_the_driver, lose_a_node

from engine import BatchPipeline, BatchStep, CsvFetcher, FunctionBatchStep, Quarantine, RunState, SqlFetcher
from engine.errors import StepFailed
from engine.events import AttemptFailed, BatchCommitted, ClusterSeen


def test_the_results_are_those_of_a_run_in_this_process(tmp_path, executor):
    log = Listened()
    run = cluster_target.pipeline(tmp_path, executor, listeners=[log])
    run.run()
    finished(run)
    assert log.of(ClusterSeen)[0].nodes == 2
    assert run.view().nodes == 2
    assert run.view().info.workers == 2
    assert [event.batch_id for event in log.of(BatchCommitted)] == list(range(40))


@pytest.mark.parametrize("total", [False, True], ids=["whole", "divided"])
def test_a_worker_that_dies_costs_a_retry_and_no_row(tmp_path, executor, total):
    log = Listened()
    run = cluster_target.pipeline(tmp_path, executor, dies_at=(0, 7, 20), total=total, listeners=[log])
    run.run()
    finished(run, total=total)
    assert {event.batch_id for event in log.of(AttemptFailed)} >= {0, 7, 20}
    assert all("a worker was lost" in event.error for event in log.of(AttemptFailed))


@pytest.mark.long
def test_many_workers_die(tmp_path, executor):
    dying = tuple(random.Random(7).sample(range(40), DEATHS))
    run = cluster_target.pipeline(tmp_path, executor, dies_at=dying)
    run.run()
    finished(run)


@pytest.mark.parametrize("total", [False, True], ids=["whole", "divided"])
def test_a_node_that_dies_costs_retries_and_no_row(cluster, tmp_path, executor, total):
    lose_a_node(cluster, tmp_path, executor, total=total)


@pytest.mark.long
def test_many_nodes_die(cluster, tmp_path, executor):
    for number in range(DEATHS):
        folder = tmp_path / str(number)
        folder.mkdir()
        lose_a_node(cluster, folder, executor, total=number % 2 == 1)


def test_an_error_of_a_step_arrives_as_it_was_raised(tmp_path, executor):
    class Odd(BatchStep):
        concurrent = True

        def process(self, batch):
            if batch.batch_id == 3:
                raise OddError("a bad row")
            return batch

    run = cluster_target.pipeline(tmp_path, executor)
    run = type(run)([Odd("odd")], run.batch_fetcher, 50, tmp_path / "ck", executor=executor)
    with pytest.raises(StepFailed, match=r"step 'odd' failed at batch 3 \(rows 150 to 199\): OddError: a bad row"):
        run.run()
    (failure,) = run.failures()
    assert (failure.step, failure.error_type, failure.batch_id) == ("odd", "OddError", 3)
    assert "in process" in failure.traceback
    assert run.get_frontier().last_completed_batch_id == 2


class OddError(Exception):
    def __init__(self, text):
        super().__init__(text)


def test_bad_rows_go_into_quarantine_and_are_replayed(tmp_path, executor):
    class Parse(BatchStep):
        concurrent = True

        def __init__(self, name, bad):
            super().__init__(name)
            self.bad = bad

        def process(self, batch):
            for number in batch.data["id"]:
                if number in self.bad:
                    raise ValueError(f"bad {number}")
            return batch

    def made(bad):
        run = cluster_target.pipeline(tmp_path, executor)
        return type(run)(
            [Parse("parse", bad)], run.batch_fetcher, 50, tmp_path / "ck", executor=executor, on_error=Quarantine(10)
        )

    run = made({7, 8, 199, 1_999})
    run.run()
    assert run.view().state is RunState.INCOMPLETE
    assert [row.source_row for row in run.quarantine.rows()] == [7, 8, 199, 1_999]
    assert made(set()).quarantine.replay().rows == 4
    assert run.collect_results()["id"].to_list() == list(range(2_000))


def test_a_stop_commits_what_has_finished_and_the_next_run_goes_on(tmp_path, executor):
    run = cluster_target.pipeline(tmp_path, executor, seconds=0.02)
    run.add_listener(lambda event: run.request_stop() if isinstance(event, BatchCommitted) else None)
    frontier = run.run()
    assert 0 <= frontier.last_completed_batch_id < 39
    assert run.view().state is RunState.RESUMABLE
    cluster_target.pipeline(tmp_path).run()
    finished(run)


@pytest.mark.parametrize("total", [False, True], ids=["whole", "divided"])
def test_a_driver_that_is_killed_is_resumed(tmp_path, cluster, executor, total):
    assert kill_the_driver(tmp_path, cluster.address, 0.1, total=total)
    run = cluster_target.pipeline(tmp_path, executor, total=total)
    assert 0 <= run.get_frontier().last_completed_batch_id < 39
    run.run()
    finished(run, total=total)


@pytest.mark.long
def test_many_drivers_are_killed(tmp_path, cluster):
    chance, killed, round_number = random.Random(3), 0, 0
    while killed < DEATHS:
        folder = tmp_path / str(round_number)
        folder.mkdir()
        round_number += 1
        total = round_number % 2 == 1
        while kill_the_driver(folder, cluster.address, chance.uniform(0, 0.3), total=total):
            killed += 1
        finished(cluster_target.pipeline(folder, total=total), total=total)


def test_nothing_of_the_default_install_loads_ray():
    code = "import sys, engine.cli, engine.pipeline, tui.app; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_workers_talk_lands_nowhere(tmp_path, executor, capfd):
    class Talks(BatchStep):
        concurrent = True

        def process(self, batch):
            sys.stdout.write("a worker talks\n")
            sys.stderr.write("and complains\n")
            return batch

    run = cluster_target.pipeline(tmp_path, executor)
    type(run)([Talks("talks")], run.batch_fetcher, 500, tmp_path / "ck", executor=executor).run()
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")


def test_a_step_that_is_not_concurrent_keeps_the_steps_here_and_says_so(tmp_path, executor):
    class Ordered(BatchStep):
        def process(self, batch):
            return batch.with_data(batch.data.with_columns(pid=pl.lit(os.getpid())))

    log = Listened()
    run = cluster_target.pipeline(tmp_path, executor)
    run = type(run)([Ordered("ordered")], run.batch_fetcher, 500, tmp_path / "ck", executor=executor, listeners=[log])
    run.run()
    assert run.collect_results()["pid"].unique().to_list() == [os.getpid()]
    assert any("ordered takes one batch at a time" in warning for warning in run.view().warnings)


def test_a_table_is_read_by_the_workers_range_by_range(tmp_path, executor, database):
    import sqlalchemy as sa

    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE numbers (a int, b text, v int, PRIMARY KEY (a, b))")
        connection.exec_driver_sql(
            "INSERT INTO numbers SELECT mod(i, 7), lpad(i::text, 4, '0'), i FROM generate_series(1, 2005) i"
        )
    engine.dispose()
    step = FunctionBatchStep("pid", lambda frame: frame.with_columns(pid=pl.lit(os.getpid())), concurrent=True)
    run = BatchPipeline([step], SqlFetcher(database, "numbers"), 50, tmp_path / "checkpoint", executor=executor)
    run.run()
    results = run.collect_results()
    assert os.getpid() not in results["pid"].unique().to_list()
    assert results.select("a", "b").rows() == sorted(results.select("a", "b").rows())
    assert sorted(results["v"].to_list()) == list(range(1, 2006))
    assert run.batch(3).cursor["after"] == list(results.select("a", "b").row(199))
    run.rewind(10)
    BatchPipeline([step], SqlFetcher(database, "numbers"), 70, tmp_path / "checkpoint").run()
    assert sorted(run.collect_results()["v"].to_list()) == list(range(1, 2006))


def test_a_source_that_is_read_in_order_is_read_here_and_sent(tmp_path, executor):
    cluster_target.source().write_csv(tmp_path / "rows.csv")
    run = BatchPipeline(
        cluster_target.pipeline(tmp_path).steps,
        CsvFetcher(tmp_path / "rows.csv"),
        50,
        tmp_path / "checkpoint",
        executor=executor,
    )
    run.run()
    finished(run)
