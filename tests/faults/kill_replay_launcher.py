"""One call of `kill_replay_target`, with one point armed: `kill_replay_launcher.py POINT CALL WORD… FOLDER`.

Exports are run by the real commands.
"""

from __future__ import annotations

import sys

import kill_points
import kill_replay_target

from engine.checkpoint.catalog import compaction
from engine.cli import main as run_app


def main() -> None:
    point, call, *words, folder = sys.argv[1:]
    compaction.COMPACT_AT_BYTES = kill_points.COMPACT_AT_BYTES
    run = kill_replay_target.pipeline(folder)
    kill_points.POINTS[point](kill_points.Bomb(int(call)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    match words:
        case ["run"]:
            run.run()
        case ["run", "fresh"]:
            run.run(resume=False)
        case ["replay"]:
            run.quarantine.replay()
        case ["rewind", batch_id]:
            run.rewind(int(batch_id))
        case ["results" | "quarantine", "export", _]:
            sys.exit(run_app([*words, "--overwrite", "--checkpoint-dir", folder]))
        case _:
            sys.exit(f"what is {words}?")


if __name__ == "__main__":
    main()
