"""How values travel between driver and workers: frames as Arrow IPC beside the pickle, and causes of errors as values.

Polars' own way of pickling a frame takes eight times as long (100,000 rows of lineitem: 41 ms instead of 5). A class
of an error from a pipeline's own file may not be known on the other side.

A worker process loads this module before it limits the threads of Polars, so Polars is imported where it is used.
"""

from __future__ import annotations

import io
import pickle
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import CheckFailed

if TYPE_CHECKING:
    import polars as pl

Packed = tuple[bytes, list[pickle.PickleBuffer]]
"""A pickle, and the buffers that belong to it: Ray puts them into its shared memory without another copy."""


def pack(cloudpickle: Any, value: object) -> Packed:
    """Return the value in the form in which it travels. Raises what pickling a part of it raises."""
    import polars as pl

    class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]  # Ray is there only where it is used
        def reducer_override(self, value: object) -> Any:
            if type(value) is pl.DataFrame and value.width and pl.Object not in value.dtypes:
                return _frame_from_ipc, (_as_ipc(value),)
            return super().reducer_override(value)

    file = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    Pickler(file, protocol=5, buffer_callback=buffers.append).dump(value)
    return file.getvalue(), buffers


def unpack(packed: Packed) -> Any:
    """Return the value."""
    return pickle.loads(packed[0], buffers=packed[1])  # noqa: S301 (between our own processes)


def _as_ipc(frame: pl.DataFrame) -> pickle.PickleBuffer:
    import polars as pl

    file = io.BytesIO()
    frame.write_ipc(file, compat_level=pl.CompatLevel.newest())
    return pickle.PickleBuffer(file.getbuffer())


def _frame_from_ipc(ipc: Any) -> pl.DataFrame:
    import polars as pl

    return pl.read_ipc(io.BytesIO(ipc))


class RemoteError(Exception):
    """Represents an error whose class is known only where it was raised; each subclass has the name of such a class."""


@dataclass(frozen=True, slots=True)
class RemoteCause:
    """The cause of an error as a value: the name of its type, its message and its traceback."""

    type_name: str
    message: str
    traceback: str


def pack_cause(cause: BaseException | None) -> RemoteCause | CheckFailed | None:
    """Return a cause in the form in which it travels."""
    if cause is None or isinstance(cause, CheckFailed):
        return cause
    return RemoteCause(type(cause).__name__, str(cause), "".join(traceback.format_exception(cause)))


def unpack_cause(cause: RemoteCause | CheckFailed | None) -> BaseException | None:
    """Return the error for such a form: it looks like the original one."""
    if not isinstance(cause, RemoteCause):
        return cause
    error: RemoteError = type(cause.type_name, (RemoteError,), {})(cause.message)
    error.add_note(f"on the worker:\n{cause.traceback}")
    return error
