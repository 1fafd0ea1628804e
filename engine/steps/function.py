"""The step that calls a plain function."""

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
    """The result of `function` for the DataFrame of the batch: another DataFrame, with at least one column.

    The engine identifies the function by its module and name, and by the arguments of a `functools.partial`; it
    doesn't compare the code. Change `version` when the function computes something else: a resume then asks, and
    doesn't mix results. All lambdas of a module have the same name.

    Pass `row_wise=False` if the result of a row depends on other rows, and `concurrent=True` if the function may run
    for several batches at once, in any order.

    Raises:
        UsageError: `function` isn't a function or is asynchronous, or the version isn't a text.
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
                f"step '{name}' needs a plain function that takes and returns a frame, not {function!r}",
                hint="Write def clean(frame: pl.DataFrame) -> pl.DataFrame, and pass clean, without calling it.",
            )
        if not version or not isinstance(version, str):
            raise UsageError(f"step '{name}': the version must be a non-empty text, not {version!r}")
        self.function = function
        self.version = version
        self.row_wise = row_wise
        self.concurrent = concurrent

    def process(self, batch: Batch) -> Batch:
        """Return the batch with the frame that the function returned."""
        import polars as pl

        result: object = self.function(batch.data)
        if not isinstance(result, pl.DataFrame):
            kind = "nothing (None)" if result is None else f"a {type(result).__name__} instead of a DataFrame"
            raise StepResultInvalid(self.name, batch.batch_id, kind)
        return batch.with_data(result)

    def settings(self) -> Mapping[str, Json]:
        """Return the module and the name of the function, and the arguments of a partial."""
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
    """Return `module:name`; for a callable object, those of its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{_importable(named.__module__)}:{named.__qualname__}"


def _importable(module: str) -> str:
    """Return the name under which the module can be imported; a script that is run is called `__main__`."""
    main = sys.modules.get("__main__")
    if module != "__main__" or main is None:
        return module
    if main.__spec__ is not None:
        return main.__spec__.name
    return Path(getattr(main, "__file__", None) or module).stem


def _json(value: object) -> Json:
    """Return the value if JSON has its type, else the name of its type: a repr may contain an address."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _qualified_name(value)
