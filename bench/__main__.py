"""The command line of the benchmarks: `python -m bench speed | memory | commit`."""

from __future__ import annotations

import argparse

_KEEPS = ("all but AIR", "only AIR")


def main() -> None:
    """Run the benchmark that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    speed_options = commands.add_parser("speed", help="wall time as a ratio to Polars' one-shot sink")
    speed_options.add_argument("--rounds", type=int, default=7)
    speed_options.add_argument("--batch-size", type=int, default=100_000)
    speed_options.add_argument("--workers", type=int, help="batches at once, instead of the engine's default")
    speed_options.add_argument("--keep", choices=_KEEPS, action="append", help="one reading of the filter alone")
    memory_options = commands.add_parser("memory", help="peak memory over a source ten times larger")
    memory_options.add_argument("--rounds", type=int, default=3)
    commit_options = commands.add_parser("commit", help="cost of a commit as thousands go by")
    commit_options.add_argument("--batches", type=int, default=20_000)
    arguments = parser.parse_args()
    # Only what is asked for is loaded: the process that starts the others must stay small, see `bench.task`.
    if arguments.command == "speed":
        from bench import speed

        keep = tuple(arguments.keep or _KEEPS)
        speed.report(rounds=arguments.rounds, batch_size=arguments.batch_size, workers=arguments.workers, keep=keep)
    elif arguments.command == "memory":
        from bench import memory

        memory.report(rounds=arguments.rounds)
    else:
        from bench import commit

        commit.report(batches=arguments.batches)


if __name__ == "__main__":
    main()
