"""The Parquet files beside the catalog: results and quarantine, what describes them, and the schema that they share."""
