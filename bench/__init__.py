"""Measurements of speed and memory that anyone can repeat.

`python -m bench speed` and the other commands print tables. Every measurement runs in a process of its own,
measurements that are compared take turns, and the tables show medians and ranges. No command fails because of a
time: the reader must judge whether the machine was quiet enough.
"""
