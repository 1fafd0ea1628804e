import polars as pl
import pytest
from polars import col, lit

from engine.errors import UsageError
from engine.steps.expression import calls_python, checked_expression, describe_expression, is_row_wise


def shout(text):
    return f"{text}!"


def test_a_text_in_place_of_an_expression_is_refused_with_the_way_to_write_it():
    with pytest.raises(UsageError, match="step 's': the predicate must be a Polars expression, not 'a > 0'") as caught:
        checked_expression("s", "a > 0", "predicate")
    assert "pl.sql_expr" in caught.value.hint


def test_a_description_shows_the_expression():
    assert describe_expression(col("a") > 1).startswith('[(col("a")) > (dyn int: 1)] #')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (col("a") > 1, col("a") > 2),
        (col("a") > 1, col("a") > 1.0),
        (col("a") > 1, col("a") >= 1),
        (lit(1, dtype=pl.Int8), lit(1, dtype=pl.Int16)),
        (lit(float("nan")), lit(float("inf"))),
        (lit("1"), lit(1)),
        (col("a").round(2), col("a").round(3)),
        (col("a").str.strptime(pl.Date, "%Y-%m-%d"), col("a").str.strptime(pl.Date, "%Y-%d-%m")),
        (col("a").str.contains(".", literal=True), col("a").str.contains(".", literal=False)),
        (col("a").rolling_mean(3), col("a").rolling_mean(4)),
        (col("a").is_in(list(range(50))), col("a").is_in([*range(49), 99])),
        (col("a").is_in(list(range(50))), col("a").is_in([*range(20), 99, *range(21, 50)])),
        (col("a").is_in(["ab", "c"]), col("a").is_in(["a", "bc"])),
        (col("a").cast(pl.Enum(["x"])), col("a").cast(pl.Enum(["y"]))),
        (lit(pl.Series([1, 2])), lit(pl.Series([1, 3]))),
        (lit("x" * 1000), lit("x" * 999 + "y")),
    ],
)
def test_different_expressions_have_different_descriptions(one, other):
    assert describe_expression(one) != describe_expression(other)


def test_the_order_of_a_set_makes_no_difference():
    one = col("a").is_in(["x", "y", "z"]) & (col("b") > 0)
    other = col("a").is_in(["z", "x", "y"]) & (col("b") > 0)
    assert describe_expression(one) == describe_expression(other)


@pytest.mark.parametrize("members", [[], [None, "x"], [[1]], [1.5, float("nan")], [{"p": 1}]])
def test_members_of_any_kind_are_described(members):
    assert describe_expression(col("a").is_in(members)).startswith('col("a").is_in(')


def test_the_description_of_an_object_holds_no_address():
    first, second = (describe_expression(lit(object(), dtype=pl.Object, allow_object=True)) for _ in range(2))
    assert first == second
    assert "0x" not in first


def test_a_long_expression_is_cut_and_still_told_apart():
    assert len(describe_expression(lit("x" * 1000))) < 350


@pytest.mark.parametrize(
    "expr",
    [
        col("a"),
        col("a") * 2 + col("b"),
        col("a").str.to_uppercase(),
        col("a").fill_null(0),
        col("a").is_in([1, 2]),
        col("a").cast(pl.Int8),
        col("a").str.strptime(pl.Date, "%Y"),
        pl.when(col("a") > 1).then(1).otherwise(col("b")),
        pl.sum_horizontal("a", "b"),
        lit(1),
    ],
)
def test_expressions_over_single_rows_are_row_wise(expr):
    assert is_row_wise(expr)


@pytest.mark.parametrize(
    "expr",
    [
        col("a").sum(),
        col("a") - col("a").mean(),
        pl.when(col("a") > col("a").mean()).then(1),
        col("a").sum().over("b") + 1,
        col("a").cum_sum(),
        col("a").shift(1),
        col("a").fill_null(strategy="forward"),
        col("a").rank(),
        col("a").is_unique(),
        col("a").explode(),
        col("a").drop_nulls(),
        col("a").head(1),
        pl.len(),
        pl.int_range(pl.len()),
        col("a").str.strptime(pl.Date),
    ],
)
def test_expressions_that_look_at_other_rows_are_not_row_wise(expr):
    assert not is_row_wise(expr)


@pytest.mark.parametrize("expr", [col("a").map_batches(len), pl.all() * 2, col("a").list.eval(pl.element() + 1)])
def test_what_polars_cannot_judge_is_taken_as_not_row_wise(expr):
    assert not is_row_wise(expr)


def test_python_functions_are_noticed():
    assert calls_python(col("a").map_elements(shout, return_dtype=pl.String) == "A!")
    assert calls_python(pl.fold(0, lambda total, x: total + x, ["a", "b"]))
    assert not calls_python(col("callback") + col("AnonymousFunction"))
    assert not calls_python(lit('"callback":[1'))


def test_the_same_python_expression_is_described_the_same():
    one, other = ((col("a") > 1) & col("a").map_batches(len) for _ in range(2))
    assert describe_expression(one) == describe_expression(other)
