"""The sinks that come with the engine: a table of a SQL database, and a table of a DuckDB file.

The module of a sink imports the library of its database; `engine` imports the module when the sink is first used.
"""
