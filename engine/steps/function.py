"""The step that a plain function makes."""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import StepResultInvalid, UsageError
from engine.steps.base import BatchStep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from engine.batch import Batch
    from engine.text.json_values import Json


class FunctionBatchStep(BatchStep):
    """What `function` makes of the batch's DataFrame: another DataFrame, with at least one column.

    The engine knows the function by its module and name, and by the arguments of a `functools.partial`; it doesn't
    see what is inside. Change `version` when it computes something else, so that a resume asks instead of mixing
    results. Lambdas of a module all have the same name.

    Say `row_wise=False` when a row's result depends on other rows, and `concurrent=True` when the function may run
    for several batches at once, in any order.

    Raises:
        UsageError: not a function, or an asynchronous one; or a version that isn't a text.
        StepResultInvalid: from `process`, the function returned something other than a DataFrame.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[pl.DataFrame], pl.DataFrame],
        *,
        version: str = "1",
        row_wise: bool = True,
        concurrent: bool = False,
    ) -> None:
        super().__init__(name)
        if not callable(function) or isinstance(function, type) or inspect.iscoroutinefunction(function):
            raise UsageError(
                f"step '{name}' needs a plain function from frame to frame, not {function!r}",
                hint="Write def clean(frame: pl.DataFrame) -> pl.DataFrame, and pass it without calling it.",
            )
        if not version or not isinstance(version, str):
            raise UsageError(f"step '{name}': the version must be a non-empty text, not {version!r}")
        self.function = function
        self.version = version
        self.row_wise = row_wise
        self.concurrent = concurrent

    def process(self, batch: Batch) -> Batch:
        """Return the batch with what the function made of its frame."""
        import polars as pl

        result: object = self.function(batch.data)
        if not isinstance(result, pl.DataFrame):
            kind = "nothing (None)" if result is None else f"a {type(result).__name__} instead of a DataFrame"
            raise StepResultInvalid(self.name, batch.batch_id, kind)
        return batch.with_data(result)

    def settings(self) -> Mapping[str, Json]:
        """Return the function's module and name, and what a partial gives it."""
        function: object = self.function
        args: list[object] = []
        keywords: dict[str, object] = {}
        while isinstance(function, functools.partial):
            args = [*function.args, *args]
            keywords = {**function.keywords, **keywords}
            function = function.func
        settings: dict[str, Json] = {"function": _qualified_name(function)}
        if args or keywords:
            settings["args"] = [_json(value) for value in args]
            settings["keywords"] = {key: _json(value) for key, value in sorted(keywords.items())}
        return settings


def _qualified_name(function: object) -> str:
    """Return `module:name`; for a callable object that of its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{_importable(named.__module__)}:{named.__qualname__}"


def _importable(module: str) -> str:
    """Return the module's name as others import it: a script that is run is called `__main__` only then."""
    main = sys.modules.get("__main__")
    if module != "__main__" or main is None:
        return module
    if main.__spec__ is not None:
        return main.__spec__.name
    return Path(getattr(main, "__file__", None) or module).stem


def _json(value: object) -> Json:
    """Return the value when JSON has it, else its type: a repr may hold an address or a set's order."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _qualified_name(value)
