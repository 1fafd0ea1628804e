"""The style sheets, one for each family of screens."""
