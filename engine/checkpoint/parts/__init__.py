"""The Parquet files beside the catalog: results and quarantine, their manifests, and the schema of the results."""
