"""Which dtypes SQL can hold, and as which other dtypes the rest go into DuckDB."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from engine.errors import UsageError

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    from duckdb.sqltypes import DuckDBPyType
    from polars._typing import PolarsDataType


def as_sql_can_hold_it(step: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with names and dtypes that DuckDB reads unchanged.

    Raises:
        UsageError: DuckDB would silently change a name, or the values of a dtype.
    """
    import polars as pl

    count = Counter(column.lower() for column in frame.columns)
    alike = [column for column in frame.columns if count[column.lower()] > 1]
    if alike:
        raise UsageError(
            f"step '{step}': the columns {', '.join(map(repr, alike))} have the same name in SQL",
            hint="SQL doesn't distinguish lower and upper case. Rename columns in a step before this one.",
        )
    if "" in frame.columns:
        raise UsageError(
            f"step '{step}': SQL can't hold a column without a name",
            hint="Rename it in a step before this one.",
        )
    carriers: dict[str, PolarsDataType] = {}
    for column, dtype in frame.schema.items():
        carrier = _carrier(dtype)
        if carrier is None:
            raise UsageError(
                f"step '{step}': SQL can't hold column '{column}' of dtype {dtype}",
                hint="Cast or drop it in a step before this one.",
            )
        if carrier != dtype:
            carriers[column] = carrier
    return frame.with_columns(pl.col(column).cast(carrier) for column, carrier in carriers.items())


def refuse_what_polars_cannot_hold(step: str, result: duckdb.DuckDBPyRelation) -> None:
    """Check that Polars has a dtype for each column of the result; it panics at intervals and unions.

    Raises:
        UsageError: it has none for a column.
    """
    for column, dtype in zip(result.columns, result.types, strict=True):
        if _is_foreign(dtype):
            raise UsageError(
                f"step '{step}': column '{column}' of the result is {dtype}, for which Polars has no dtype",
                hint="Cast it in the query; epoch_us(...) returns the microseconds of an INTERVAL.",
            )


def _carrier(dtype: PolarsDataType) -> PolarsDataType | None:
    """Return the dtype in which the values go into DuckDB, usually the same; None if there is none."""
    import polars as pl

    if isinstance(dtype, pl.List | pl.Array):
        inner = _carrier(dtype.inner)
        if inner is None:
            return None
        return pl.List(inner) if isinstance(dtype, pl.List) else pl.Array(inner, dtype.size)
    if isinstance(dtype, pl.Struct):
        fields = {field.name: _carrier(field.dtype) for field in dtype.fields}
        known = {name: carrier for name, carrier in fields.items() if carrier is not None}
        return pl.Struct(known) if len(known) == len(fields) else None
    stand_ins: dict[PolarsDataType, PolarsDataType | None] = {
        pl.Object(): None,
        pl.UInt128(): None,
        pl.Null(): pl.Int32(),
        pl.Float16(): pl.Float32(),
        pl.Int128(): pl.Decimal(38, 0),
    }
    return stand_ins.get(dtype, dtype)


def _is_foreign(dtype: DuckDBPyType) -> bool:
    if dtype.id in {"list", "array", "struct", "map"}:
        # For an array, `children` includes its length.
        return any(_is_foreign(child) for _, child in dtype.children if isinstance(child, type(dtype)))
    return dtype.id in {"interval", "union", "bignum", "variant"}
