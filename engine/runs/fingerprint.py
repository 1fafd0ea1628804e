"""A pipeline as a value that the checkpoint stores and the next run compares with its own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError
from engine.sources.base import SeekableFetcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.sources.base import BatchFetcher
    from engine.steps.base import BatchStep
    from engine.text.json_values import Json


_DIGEST = re.compile(r" #[0-9a-f]{12}\b")


def description(steps: Sequence[BatchStep], fetcher: BatchFetcher, batch_size: int) -> str:
    """Return the pipeline as JSON: steps with class, version and settings, source, and batch size.

    Raises:
        UsageError: a step's settings or the source's identity aren't JSON values.
    """
    content = {
        "steps": [
            {
                "name": step.name,
                "class": type(step).__qualname__,
                "version": step.version,
                "settings": _as_json(step.settings(), f"the settings of step '{step.name}'"),
            }
            for step in steps
        ],
        "source": _as_json(fetcher.identity(), "the identity of the source")
        if isinstance(fetcher, SeekableFetcher)
        else {"kind": "callable"},
        "batch_size": batch_size,
    }
    return json.dumps(content)


def _as_json(value: Mapping[str, Json], what: str) -> Any:
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{what} can't be recorded: {error}", hint="Use texts, numbers, booleans, None, lists and dicts of these."
        ) from error


def differences(recorded: str, current: str) -> list[str]:
    """Return one line for each difference that changes what the results mean; the batch size doesn't.

    >>> step = {"name": "fill", "class": "Fill", "version": "1", "settings": {"value": 0}}
    >>> before = json.dumps({"steps": [step], "source": {"kind": "csv"}, "batch_size": 10})
    >>> now = json.dumps({"steps": [step | {"settings": {"value": 1}}], "source": {"kind": "csv"}, "batch_size": 20})
    >>> differences(before, now)
    ["step 'fill': value is 1, was 0"]
    """
    before, after = json.loads(recorded), json.loads(current)
    old = {step["name"]: step for step in before["steps"]}
    new = {step["name"]: step for step in after["steps"]}
    lines = [f"step '{name}' is new" for name in new if name not in old]
    lines += [f"step '{name}' is gone" for name in old if name not in new]
    kept = [name for name in new if name in old]
    if kept != [name for name in old if name in new]:
        lines.append(f"the steps' order is {', '.join(new)}, was {', '.join(old)}")
    for name in kept:
        lines += _of_step(name, old[name], new[name])
    lines += [f"source: {line}" for line in _of_mapping(before["source"], after["source"])]
    return lines


def _of_step(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines = [
        f"step '{name}': {key} is {_shown(new[key])}, was {_shown(old[key])}"
        for key in ("class", "version")
        if _differs(old[key], new[key])
    ]
    return lines + [f"step '{name}': {line}" for line in _of_mapping(old["settings"], new["settings"])]


def _of_mapping(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines = []
    for key in dict.fromkeys([*old, *new]):
        if _differs(old.get(key), new.get(key)):
            now, was = _shown(new.get(key)), _shown(old.get(key))
            # An expression is stored as text and digest; the digest is shown only if the texts are the same.
            short_now, short_was = _DIGEST.sub("", now), _DIGEST.sub("", was)
            if short_now != short_was:
                now, was = short_now, short_was
            lines.append(f"{key} is {now}, was {was}")
    return lines


def _differs(old: object, new: object) -> bool:
    # As text: in Python 3 == 3.0 == True, but as settings they give different dtypes.
    return json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
