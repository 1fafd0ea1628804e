"""The sources that come with the engine: Parquet files, CSV files, databases, and Polars frames.

Invariant: importing this package loads neither polars nor duckdb nor sqlalchemy; a fetcher loads what it needs.
"""

from engine.sources.csv.fetcher import CsvFetcher
from engine.sources.frame import FrameFetcher
from engine.sources.parquet.fetcher import ParquetFetcher
from engine.sources.sql import SqlFetcher

__all__ = ["CsvFetcher", "FrameFetcher", "ParquetFetcher", "SqlFetcher"]
