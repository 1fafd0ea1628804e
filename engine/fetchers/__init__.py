"""The sources that come with the engine: Parquet files, CSV files, and Polars frames.

Invariant: importing this package loads neither polars nor duckdb; a fetcher loads them when it is opened.
"""

from engine.fetchers.csv_fetcher import CsvFetcher
from engine.fetchers.frame_fetcher import FrameFetcher
from engine.fetchers.parquet_fetcher import ParquetFetcher

__all__ = ["CsvFetcher", "FrameFetcher", "ParquetFetcher"]
