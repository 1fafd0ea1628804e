"""Sample data and pipelines that come with the distribution."""
