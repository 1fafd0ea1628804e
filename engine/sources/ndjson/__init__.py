"""Reading files of JSON lines (NDJSON) in one pass, and continuing from a byte offset."""
