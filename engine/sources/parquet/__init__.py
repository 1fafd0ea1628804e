"""Reading Parquet files, each row group decoded once."""
