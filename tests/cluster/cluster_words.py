"""A module beside the file of the pipeline; workers can't import it."""

from __future__ import annotations


def shout(column):
    return column.str.to_uppercase()
