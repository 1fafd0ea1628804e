import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("demonstration")]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demonstration")
    done = subprocess.run(
        [sys.executable, "-m", "pipe_steps.main_batch"], cwd=folder, capture_output=True, text=True, check=False
    )
    return folder, done


def test_it_exits_0_and_leaves_one_new_folder(shown):
    folder, done = shown
    assert done.returncode == 0, done.stderr
    assert [path.name[:5] for path in (folder / "checkpoints").iterdir()] == ["demo-"]


def test_it_meets_the_wrong_row(shown):
    out = shown[1].stdout
    assert "failed: step 'check_speed' failed at batch 21 (rows 210,000 to 219,999)" in out
    assert "1 row breaks the check speed_mph ≤ 700" in out
    assert "row 216,447:" in out
    for cell in ("carrier=DL", "flight=1499", "origin=LGA", "dest=ATL", "speed_mph=703.38"):
        assert cell in out


def test_it_shows_the_frontier_as_it_is_kept(shown):
    (frontier,) = [json.loads(line) for line in shown[1].stdout.splitlines() if line.startswith("{")]
    assert frontier == {
        "last_completed_batch_id": 20,
        "last_completed_row": 209_999,
        "total_rows_processed": 210_000,
        "step_states": {"drop_nulls": 20, "add_speed": 20, "check_speed": 20, "keep": 20},
    }


def test_it_resumes_from_the_frontier_to_the_end(shown):
    assert "resuming at batch 21: 210,000 rows done, 126,776 to go" in shown[1].stderr
    assert "finished: 336,776 rows in 34 batches" in shown[1].stdout


def test_it_shows_the_results_and_what_to_try_next(shown):
    out = shown[1].stdout
    assert "327,346 result rows in checkpoints/demo-" in out
    assert "│ UA      ┆ 1545   ┆ EWR    ┆ IAH  ┆ 227      ┆ 1400     ┆ 370.044053 │" in out
    assert "batchpipe-tui sample_data.flights:pipeline" in out


def test_no_command_is_the_demonstration_too(command, workplace):
    answer = command()
    assert answer.code == 0
    assert "327,346 result rows" in answer.out
