"""Panes of the dashboard: each draws one immutable value, and posts a message when a person chooses something.

No widget touches the engine, a thread, a file or a clock.
"""
