"""Reading text files whose columns have fixed places, in one pass, and continuing from a byte offset."""
