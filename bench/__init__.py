"""What the engine's promises of speed and memory rest on: measurements that anyone can repeat.

`python -m bench speed`, `memory` and `commit` print their figures as tables. Every measurement runs in a
process of its own, those that are compared take turns, and the tables show medians and spread. Nothing
here asserts a time: what is true on a loaded machine is for the reader to judge.
"""
