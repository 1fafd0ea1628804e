"""The dashboard: a Textual front end for the engine."""
