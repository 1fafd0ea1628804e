"""What is done with one batch, wherever: fetch, steps, part, quarantine."""
