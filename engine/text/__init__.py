"""Text for a screen, a log or a file: secrets masked, control characters visible, numbers formatted, values as JSON."""
