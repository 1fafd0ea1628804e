"""The command line of the benchmarks: `python -m bench speed | memory | commit | dashboard | sql | cluster`."""

from __future__ import annotations

import argparse

from bench import cluster, dashboard, memory, speed, sql


def main() -> None:
    """Run the benchmark that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    options = commands.add_parser("speed", help="wall time relative to the one-shot sink of Polars")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--batch-size", type=int, default=100_000)
    options.add_argument("--workers", type=int, help="how many batches at once, instead of the default")
    options.add_argument("--tenfold", action="store_true", help="use ten times the source")
    options.add_argument(
        "--keep", choices=speed.KEEPS, action="append", help="measure only this filter (may be repeated)"
    )
    options.add_argument(
        "--subject",
        choices=speed.SUBJECTS,
        action="append",
        help="measure only this subject and the one-shot (may be repeated)",
    )
    options = commands.add_parser("memory", help="peak memory for a source and for ten times as much")
    options.add_argument("--rounds", type=int, default=3)
    options = commands.add_parser("commit", help="cost of a commit, from the first to the last of thousands")
    options.add_argument("--batches", type=int, default=20_000)
    options = commands.add_parser("dashboard", help="how much the dashboard slows a run, and the lag of its event loop")
    options.add_argument("--rounds", type=int, default=3)
    options = commands.add_parser("sql", help="time to read a PostgreSQL table, relative to plain streams of it")
    options.add_argument("--url", required=True, help="URL of an empty database, in the format of libpq")
    options.add_argument("--rounds", type=int, default=5)
    options = commands.add_parser("cluster", help="cost of Ray tasks, relative to threads in this process")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--batches", type=int, default=2_000)
    options.add_argument(
        "--kind", choices=cluster.KINDS, action="append", help="measure only this kind of batches (may be repeated)"
    )
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
        from bench import commit  # it loads Polars, but the process that starts the others must stay small

        commit.report(batches=arguments.batches)


if __name__ == "__main__":
    main()
