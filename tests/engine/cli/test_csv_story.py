"""The folder of CSV files with one bad row at 64 %: stopped, taken out, corrected, and in its place."""

import polars as pl
import pytest

pytestmark = pytest.mark.integration

ROWS, FILES, BAD = 5_000, 10, 3_200
FILE, LINE = BAD // (ROWS // FILES), BAD % (ROWS // FILES) + 2

PIPELINE = """
import polars as pl
from engine import BatchPipeline, CsvFetcher, FilterBatchStep, WithColumnsBatchStep

pipeline = BatchPipeline(
    [FilterBatchStep("even", pl.col("id") % 3 > 0), WithColumnsBatchStep("twice", twice=pl.col("price") * 2)],
    CsvFetcher("orders"),
    700,
    "cp",
)
"""
FAULTS = {
    "a word in a column of numbers": f"{BAD},many,n{BAD}",
    "a field too many": f"{BAD},{BAD * 2},n,{BAD}",
    "a field too few": f"{BAD}",
}


@pytest.fixture(params=FAULTS.values(), ids=FAULTS)
def orders(request, write, workplace):
    """The folder; returns the bad line."""
    (workplace / "orders").mkdir()
    size = ROWS // FILES
    for number in range(FILES):
        lines = [f"{row},{row * 2},n{row}" for row in range(number * size, (number + 1) * size)]
        if number == FILE:
            lines[BAD - number * size] = request.param
        path = workplace / "orders" / f"{number:02d}.csv"
        path.write_text("id,price,name\n" + "".join(f"{line}\n" for line in lines))
    write("orders.py", PIPELINE)
    return request.param


def expected():
    ids = pl.Series("id", range(ROWS), dtype=pl.Int64)
    frame = pl.DataFrame({"id": ids, "price": ids * 2, "name": [f"n{row}" for row in ids], "twice": ids * 4})
    return frame.filter(pl.col("id") % 3 > 0)


def test_it_stops_is_taken_out_corrected_in_the_exported_file_and_is_in_its_place(command, orders, workplace):
    place = f"{FILE:02d}.csv, line {LINE}"
    stopped = command("run", "orders.py")
    assert stopped.code == 1
    assert f"failed: 1 row of batch {BAD // 700} can't be read: " in stopped.err
    assert place in stopped.err
    assert orders in stopped.err
    assert "--on-error quarantine" in stopped.err

    done = command("run", "orders.py", "--on-error", "quarantine")
    assert done.code == 0
    assert done.err.splitlines()[-1].startswith("finished, but 1 row is in quarantine")
    listed = command("quarantine", "list", "orders.py").out
    assert f"{FILE:02d}.csv:{LINE}" in listed
    assert orders in listed
    assert command("results", "count", "orders.py").out == f"{expected().height - 1}\n"

    command("quarantine", "export", "bad.csv", "orders.py")
    frame = pl.read_csv("bad.csv", schema_overrides={"text": pl.String})
    assert frame.select("source_row", "line", "text").rows() == [(BAD, LINE, orders)]
    frame.with_columns(text=pl.lit(f"{BAD},{BAD * 2},n{BAD}")).write_csv("bad.csv")
    replayed = command("quarantine", "replay", "orders.py", "--from", "bad.csv")
    assert (replayed.code, replayed.err.splitlines()[-1]) == (
        0, "1 row replayed into the results, 0 still in quarantine",
    )  # fmt: skip
    command("results", "export", "all.parquet", "orders.py")
    assert pl.read_parquet("all.parquet").equals(expected())


def test_it_is_corrected_in_the_source_itself(command, orders, workplace):
    command("run", "orders.py", "--on-error", "quarantine")
    path = workplace / "orders" / f"{FILE:02d}.csv"
    path.write_text(path.read_text().replace(f"\n{orders}\n", f"\n{BAD},{BAD * 2},n{BAD}\n"))
    replayed = command("quarantine", "replay", "orders.py")
    assert (replayed.code, replayed.err.splitlines()[-1]) == (
        0, "1 row replayed into the results, 0 still in quarantine",
    )  # fmt: skip
    command("results", "export", "all.parquet", "orders.py")
    assert pl.read_parquet("all.parquet").equals(expected())
    changed = command("run", "orders.py")
    assert (changed.code, "--accept-changes" in changed.err) == (1, True)
    assert command("run", "orders.py", "--accept-changes").code == 0
