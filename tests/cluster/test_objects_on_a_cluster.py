"""Results in object storage, written by the workers of a cluster: no disk in common, and the same promises."""

from __future__ import annotations

import random

import cluster_target
import pytest
from cluster_checks import DEATHS, finished, kill_the_driver, lose_a_node

from engine import BatchPipeline, FunctionBatchStep, Quarantine
from engine.storage import files
from engine.storage.objects import ObjectPath

TOTAL = pytest.mark.parametrize("total", [False, True], ids=["whole", "divided"])


@pytest.fixture
def url(bucket, monkeypatch):
    """Where every pipeline of `cluster_target` puts its results, also in other processes."""
    monkeypatch.setenv("CLUSTER_TARGET_RESULTS_URL", f"{bucket}/results-of-a-cluster")
    return ObjectPath(f"{bucket}/results-of-a-cluster")


@TOTAL
def test_workers_write_there_and_a_lost_one_leaves_nothing(tmp_path, executor, url, total):
    run = cluster_target.pipeline(tmp_path, executor, dies_at=(0, 20), total=total)
    run.run()
    assert run.results_url == url
    assert not (tmp_path / "checkpoint" / "results").exists()
    finished(run, total=total)


def test_rows_taken_out_are_there_as_well(tmp_path, executor, url):
    def parse(frame):
        if frame["id"].is_in([3, 77]).any():
            raise ValueError("a bad row")
        return frame

    source = cluster_target.pipeline(tmp_path, executor).batch_fetcher
    steps = [FunctionBatchStep("parse", parse, row_wise=True, concurrent=True)]
    run = BatchPipeline(
        steps, source, 50, tmp_path / "ck", results_url=url, executor=executor, on_error=Quarantine(10, None)
    )
    run.run()
    assert [row.source_row for row in run.quarantine.rows()] == [3, 77]
    assert len(list(files.names_in(url / "quarantine"))) == 2
    assert run.collect_results()["id"].to_list() == [number for number in range(2_000) if number not in {3, 77}]


def test_a_node_that_dies_costs_retries_and_no_row(cluster, tmp_path, executor, url):
    lose_a_node(cluster, tmp_path, executor, total=False)
    assert len(list(files.names_in(url / "results"))) == 40


def test_a_driver_that_is_killed_is_resumed(tmp_path, cluster, url):
    assert kill_the_driver(tmp_path, cluster.address, 0.1, total=False)
    run = cluster_target.pipeline(tmp_path)
    run.run()
    assert len(list(files.names_in(url / "results"))) == 40
    finished(run)


@pytest.mark.long
def test_many_deaths(tmp_path, cluster, executor, bucket, monkeypatch):
    chance = random.Random(5)
    killed = number = 0
    while killed < DEATHS:
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.setenv("CLUSTER_TARGET_RESULTS_URL", f"{bucket}/{number}")
        number += 1
        killed += kill_the_driver(folder, cluster.address, chance.uniform(0, 0.3), total=False)
        run = cluster_target.pipeline(folder, executor, dies_at=tuple(chance.sample(range(40), 3)))
        run.run()
        finished(run)
