"""What sources and sinks share about databases: connections, dtypes, tables and their keys, and ways to read them.

Importing this package loads nothing; its modules load sqlalchemy, so sources import them where they first need them.
"""
