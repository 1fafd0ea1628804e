"""The sources that come with the engine: Parquet files, CSV files, databases, and Polars frames.

Invariant: importing a source loads neither polars nor duckdb nor sqlalchemy; a fetcher loads what it needs.
"""
