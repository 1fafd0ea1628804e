"""The terminal that the process has been given, and how the process ends."""
