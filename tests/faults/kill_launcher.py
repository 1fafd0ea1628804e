"""Start the real command, with one point of the protocol armed: `kill_launcher.py POINT CALL ARGUMENT…`."""

from __future__ import annotations

import sys

import kill_points

from engine.checkpoint.catalog import compaction
from engine.cli import main as run_app


def main() -> int:
    point, call, *arguments = sys.argv[1:]
    compaction.COMPACT_AT_BYTES = kill_points.COMPACT_AT_BYTES
    kill_points.POINTS[point](kill_points.Bomb(int(call)))
    sys.stdout.write("ready\n")  # the time of random kills begins here, not at the start of Python
    sys.stdout.flush()
    return run_app(arguments)


if __name__ == "__main__":
    sys.exit(main())
