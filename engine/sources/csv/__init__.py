"""Reading CSV files in one pass, and continuing from a byte offset."""
