"""The command line of the benchmarks: `python -m bench speed | memory | commit`."""

from __future__ import annotations

import argparse

_KEEPS = ("all but AIR", "only AIR")


def main() -> None:
    """Run the benchmark that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("speed", help="wall time as a ratio to Polars' one-shot sink")
    speed.add_argument("--rounds", type=int, default=7)
    speed.add_argument("--batch-size", type=int, default=100_000)
    speed.add_argument("--keep", choices=_KEEPS, action="append", help="one reading of the filter alone")
    memory = commands.add_parser("memory", help="peak memory over a source ten times larger")
    memory.add_argument("--rounds", type=int, default=3)
    commit = commands.add_parser("commit", help="cost of a commit as thousands go by")
    commit.add_argument("--batches", type=int, default=20_000)
    arguments = parser.parse_args()
    # Only what is asked for is loaded: this process must stay small, see `bench.task.measure`.
    if arguments.command == "speed":
        from bench import speed as chosen

        keep = tuple(arguments.keep or _KEEPS)
        chosen.report(rounds=arguments.rounds, batch_size=arguments.batch_size, keep=keep)
    elif arguments.command == "memory":
        from bench import memory

        memory.report(rounds=arguments.rounds)
    else:
        from bench import commit

        commit.report(batches=arguments.batches)


if __name__ == "__main__":
    main()
