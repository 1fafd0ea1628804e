"""The sinks that come with the engine: a table of a SQL database, and a table of a DuckDB file.

A sink's file loads its database's library; `engine` loads the file when somebody asks for the sink.
"""
