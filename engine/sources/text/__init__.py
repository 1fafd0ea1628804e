"""What all sources of text files need: opening, blocks of whole rows, line numbers, and text for people to read."""
