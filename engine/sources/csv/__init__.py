"""Reading CSV files in one pass, and going on from a byte."""
