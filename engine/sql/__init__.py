"""Databases, as sources and sinks share them: connections, dtypes, what a table is, and ways to read it.

Importing this package is free; its modules load sqlalchemy, so they are imported where they are first needed.
"""
