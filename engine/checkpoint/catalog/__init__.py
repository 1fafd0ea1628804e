"""The DuckDB file that decides: its queries, its one writer, its history, and how it is opened and compacted."""
