"""Text on its way to a screen, a log or a file: secrets masked, control characters visible, values as JSON."""
