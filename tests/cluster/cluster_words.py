"""A module beside the pipeline's file, which no worker can import."""

from __future__ import annotations


def shout(column):
    return column.str.to_uppercase()
