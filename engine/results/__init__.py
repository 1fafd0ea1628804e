"""What a pipeline has produced: its rows, and the rows in quarantine."""
