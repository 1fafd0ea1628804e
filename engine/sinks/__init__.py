"""The sinks that come with the engine: a table of a SQL database, and a table of a DuckDB file.

Invariant: importing this package loads neither polars nor duckdb nor sqlalchemy; a sink loads them when it is made.
"""

from engine.sinks.duckdb_sink import DuckDBSink
from engine.sinks.sql_sink import SqlSink

__all__ = ["DuckDBSink", "SqlSink"]
