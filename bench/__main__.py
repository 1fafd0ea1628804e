"""The command line of the benchmarks: `python -m bench speed | memory | commit | dashboard | sql | cluster`."""

from __future__ import annotations

import argparse

from bench import cluster, dashboard, memory, speed, sql


def main() -> None:
    """Run the benchmark that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    options = commands.add_parser("speed", help="wall time as a ratio to Polars' one-shot sink")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--batch-size", type=int, default=100_000)
    options.add_argument("--workers", type=int, help="batches at once, instead of the engine's default")
    options.add_argument("--tenfold", action="store_true", help="ten times the source")
    options.add_argument("--keep", choices=speed.KEEPS, action="append", help="this reading of the filter alone")
    options.add_argument("--subject", choices=speed.SUBJECTS, action="append", help="these alone, and the one-shot")
    options = commands.add_parser("memory", help="peak memory over a source ten times larger")
    options.add_argument("--rounds", type=int, default=3)
    options = commands.add_parser("commit", help="cost of a commit as thousands go by")
    options.add_argument("--batches", type=int, default=20_000)
    options = commands.add_parser("dashboard", help="what the dashboard costs a run, and how late its loop wakes up")
    options.add_argument("--rounds", type=int, default=3)
    options = commands.add_parser("sql", help="reading a PostgreSQL table, as a ratio to bare streams of it")
    options.add_argument("--url", required=True, help="of an empty database, as libpq takes it")
    options.add_argument("--rounds", type=int, default=5)
    options = commands.add_parser("cluster", help="what tasks of Ray cost, as a ratio to this process's threads")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--batches", type=int, default=2_000)
    options.add_argument("--kind", choices=cluster.KINDS, action="append", help="these batches alone")
    arguments = parser.parse_args()
    if arguments.command == "speed":
        speed.report(
            rounds=arguments.rounds,
            batch_size=arguments.batch_size,
            workers=arguments.workers,
            tenfold=arguments.tenfold,
            keeps=arguments.keep or speed.KEEPS,
            subjects=arguments.subject or speed.SUBJECTS,
        )
    elif arguments.command == "dashboard":
        dashboard.report(rounds=arguments.rounds)
    elif arguments.command == "cluster":
        cluster.report(rounds=arguments.rounds, batches=arguments.batches, kinds=arguments.kind or cluster.KINDS)
    elif arguments.command == "sql":
        sql.report(url=arguments.url, rounds=arguments.rounds)
    elif arguments.command == "memory":
        memory.report(rounds=arguments.rounds)
    else:
        from bench import commit  # it loads Polars, and the process that starts the others must stay small

        commit.report(batches=arguments.batches)


if __name__ == "__main__":
    main()
