"""The sinks that come with the engine: a table of a SQL database, and a table of a DuckDB file.

Invariant: importing a sink loads neither polars nor duckdb nor sqlalchemy; it loads them when it is made.
"""
