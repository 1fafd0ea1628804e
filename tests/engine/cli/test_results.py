import polars as pl
import pytest

from engine.checkpoint.store import CheckpointStore


@pytest.fixture
def done(command, tens):
    command("run", tens)
    return tens


def test_head_shows_the_first_rows_in_source_order(command, done):
    answer = command("results", "head", done, "-n", "2")
    assert answer.code == 0
    assert [line.strip(" │") for line in answer.out.splitlines()[-3:-1]] == ["0", "1"]


def test_head_before_any_result_says_so(command, tens):
    answer = command("results", "head", tens)
    assert (answer.code, answer.out, answer.err) == (0, "", "no results yet\n")


def test_count_prints_the_bare_number(command, done):
    assert command("results", "count", "--checkpoint-dir", "cp").out == "30\n"


def test_count_works_while_a_run_goes_on(command, done, workplace):
    with CheckpointStore(workplace / "cp"):
        assert command("results", "count", done).out == "30\n"


def test_sql_answers_over_the_table_results(command, done):
    answer = command("results", "sql", "SELECT sum(id)::BIGINT AS total FROM results", done, "--csv")
    assert answer.out == "total\n435\n"


def test_sql_says_when_it_shows_less_than_there_is(command, done):
    answer = command("results", "sql", "FROM results", done, "-n", "3", "--csv")
    assert answer.out == "id\n0\n1\n2\n"
    assert answer.err == "3 of 30 rows; --rows 0 shows all\n"


def test_a_wrong_query_is_a_usage_error(command, done):
    answer = command("results", "sql", "SELECT nothing FROM results", done)
    assert answer.code == 2
    assert "the query can't be run: Binder Error" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_export_writes_one_file(command, done, workplace, suffix):
    answer = command("results", "export", f"all.{suffix}", done)
    assert (answer.code, answer.err) == (0, f"the results of 3 batches are in all.{suffix}\n")
    read = pl.read_parquet if suffix == "parquet" else pl.read_csv
    assert read(workplace / f"all.{suffix}")["id"].to_list() == list(range(30))


def test_export_does_not_overwrite_unless_told_to(command, done):
    command("results", "export", "all.csv", done)
    assert command("results", "export", "all.csv", done).code == 2
    assert command("results", "export", "all.csv", done, "--overwrite").code == 0


def test_damaged_results_are_told_as_damage(command, done, workplace):
    (workplace / "cp" / "results" / "part-000000000001.parquet").write_bytes(b"damaged")
    for arguments in (["head", "-n", "30"], ["count"], ["sql", "FROM results"], ["export", "all.csv"]):
        answer = command("results", *arguments, "--checkpoint-dir", "cp")
        assert answer.code in {2, 3}
        assert "Traceback" not in answer.err


def test_hostile_cells_and_columns_are_shown_harmless(command, write):
    write(
        "hostile.py",
        r"""
        import polars as pl
        from engine import BatchPipeline, FrameFetcher
        frame = pl.DataFrame({"na\x1b[1mme": ["\x1b[31mred\nline", "a\u202eb"], "list": [["\x9b1m"], ["\x07"]]})
        pipeline = BatchPipeline([], FrameFetcher(frame), 10, "cp")
        """,
    )
    command("run", "hostile.py")
    shown = command("results", "head", "hostile.py").out
    assert "␛[31mred␊line" in shown
    assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(shown)
