"""How many rows a statement returns, without a long wait for the answer."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable

from engine.sql.database import ConnectionLost, QueryFailed

if TYPE_CHECKING:
    from engine.sql.database import Database


class _Explain(Executable, ClauseElement):
    inherit_cache = False

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.statement = statement


@compiles(_Explain)
def _compile_explain(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"


def estimate_rows(database: Database, statement: sa.Select[Any]) -> int:
    """Return how many rows the planner of PostgreSQL expects; no row is read."""
    with database.connect() as connection:
        plan = connection.execute(_Explain(statement)).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"])


def count_rows(database: Database, statement: sa.Select[Any], *, seconds: float) -> int | None:
    """Return how many rows there are, None if counting them takes longer than `seconds`."""
    answer: list[int] = []
    driver: list[Any] = []

    def count() -> None:
        with suppress(ConnectionLost, QueryFailed), database.connect() as connection:
            driver.append(connection.connection.driver_connection)
            rows = sa.select(sa.func.count()).select_from(statement.subquery("counted"))
            answer.append(int(connection.execute(rows).scalar_one()))

    counter = threading.Thread(target=count, name="count-rows", daemon=True)
    counter.start()
    counter.join(seconds)
    if counter.is_alive() and driver and hasattr(driver[0], "interrupt"):
        driver[0].interrupt()  # only SQLite has `interrupt`; without it, the count would read the whole file
    return answer[0] if answer else None
