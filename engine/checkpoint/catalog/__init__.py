"""The DuckDB file that decides what is committed: its queries, its one writer, its history, opening and compaction."""
