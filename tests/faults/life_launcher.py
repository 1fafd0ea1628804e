"""One call of a pipeline, in a process that dies at the n-th step: `life_launcher.py LIFE FOLDER N CALL…`."""

from __future__ import annotations

import sys

import kill_points
import life_cuts
from life_pipeline import Life, pipeline

from engine.errors import PipelineError


def main() -> None:
    told, folder, number, call, *options = sys.argv[1:]
    run = pipeline(Life.from_json(told), folder)
    life_cuts.arm(life_cuts.Cut(int(number), lambda _: kill_points.die()))
    try:
        if call == "run":
            run.run(resume="fresh" not in options, accept_changes="accept" in options)
        elif call == "replay":
            run.quarantine.replay(accept_changes="accept" in options)
        else:
            run.rewind(int(options[0]))
    except PipelineError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
