"""The sources that come with the engine: Parquet files, CSV files, databases, and Polars frames.

Invariant: importing this package loads neither polars nor duckdb nor sqlalchemy; a fetcher loads what it needs.
"""

from engine.fetchers.csv_fetcher import CsvFetcher
from engine.fetchers.frame_fetcher import FrameFetcher
from engine.fetchers.parquet_fetcher import ParquetFetcher
from engine.fetchers.sql_fetcher import SqlFetcher

__all__ = ["CsvFetcher", "FrameFetcher", "ParquetFetcher", "SqlFetcher"]
