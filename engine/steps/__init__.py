"""The built-in steps, one file each. Importing one doesn't load Polars or DuckDB; constructing or running one may."""
