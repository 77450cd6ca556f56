"""Pickles that hold nothing but plain containers and arrays of numbers.

A pickle is a program, which may call any function that it names. Here the few names of
NumPy's arrays stand for functions of this module, and every other name is refused, so
that nothing of the file is executed.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

MODULES = {"numpy.core.multiarray", "numpy._core.multiarray"}
NUMERIC_MODULES = {"numpy.core.numeric", "numpy._core.numeric"}
"""Modules of NumPy before and since version 2.0."""

NUMBER_KINDS = "biuf"
"""Booleans, integers and floating point numbers."""


class PlainPickleError(ValueError):
    """A pickle that is damaged, or holds more than arrays and plain containers."""


def load_plain(data: bytes) -> Any:
    """Return the content of a pickle: None, booleans, numbers, strings, bytes, lists,
    tuples, dicts, sets, and NumPy's arrays and scalars of numbers.

    Raises:
      PlainPickleError: it is damaged, or holds anything else.
    """
    try:
        return _PlainUnpickler(io.BytesIO(data)).load()
    except PlainPickleError:
        raise
    # A damaged pickle can raise nearly anything from its instructions.
    except Exception as error:
        raise PlainPickleError(f"it is no pickle, or damaged ({error})") from error


class _PlainArray(np.ndarray):
    """An array whose state is checked before NumPy reads it."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        numbers = _number_dtype(dtype)
        if not isinstance(data, bytes):
            raise PlainPickleError("it holds an array without bytes")
        _check_size(shape, numbers, data)
        checked = (1, shape, numbers, bool(is_fortran), data)
        # NumPy's stub asks for its own boolean, which it refuses.
        super().__setstate__(checked)  # pyright: ignore[reportArgumentType]


class _DType:
    """A data type: its name, and later its byte order."""

    __slots__ = ("value",)

    def __init__(self, name: Any, *_: object):
        if not isinstance(name, str):
            raise PlainPickleError(f"it holds a data type {name!r}")
        self.value = np.dtype(name)
        if self.value.kind not in NUMBER_KINDS:
            raise PlainPickleError(f"it holds an array of {name!r}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, byte order, and None for what only structures have).
        order = state[1]
        if any(part is not None for part in state[2:5]):
            raise PlainPickleError("it holds an array of structures")
        self.value = self.value.newbyteorder(order)


class _Callable:
    """A name that a pickle may call, and whose attributes it cannot set."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise PlainPickleError("it changes a function")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        function = _function_of(module, name)
        if function is None:
            raise PlainPickleError(
                f"it names {module}.{name}, and only arrays of numbers and plain containers are read"
            )
        return _Callable(function)

    def persistent_load(self, pid: object) -> Any:
        raise PlainPickleError("it refers to objects outside of the file")


def _function_of(module: str, name: str) -> Callable[..., Any] | None:
    """Return what stands for a name of NumPy; None for every other name."""
    if module == "numpy":
        return {"dtype": _DType, "ndarray": _not_called}.get(name)
    if module in MODULES:
        return {"_reconstruct": _empty_array, "scalar": _scalar}.get(name)
    if module in NUMERIC_MODULES:
        return {"_frombuffer": _array_of_buffer}.get(name)
    # Protocols below 3 store bytes as text, or as a call without arguments.
    return {
        ("_codecs", "encode"): _encode,
        ("__builtin__", "bytes"): _empty_bytes,
    }.get((module, name))


def _not_called(*_: object) -> None:
    raise PlainPickleError("it makes an array in an unknown way")


def _empty_array(*_: object) -> _PlainArray:
    # Its arguments are a class, (0,) and a letter; the state that follows decides.
    return np.ndarray.__new__(_PlainArray, (0,), "b")


def _scalar(dtype: Any, data: Any) -> Any:
    numbers = _number_dtype(dtype)
    _check_size((), numbers, data)
    return np.frombuffer(data, numbers)[0]


def _array_of_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    numbers = _number_dtype(dtype)
    _check_size(shape, numbers, data)
    flat = np.frombuffer(bytes(data), numbers)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise PlainPickleError(f"it encodes text as {encoding!r}")
    return text.encode("latin-1")


def _empty_bytes() -> bytes:
    return b""


def _number_dtype(dtype: Any) -> np.dtype[Any]:
    if not isinstance(dtype, _DType):
        raise PlainPickleError("it holds an array without a data type")
    return dtype.value


def _check_size(shape: Any, numbers: np.dtype[Any], data: Any) -> None:
    sizes = shape if isinstance(shape, tuple) else (shape,)
    # Not `isinstance`: True is an int, too.
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise PlainPickleError(f"it holds an array of shape {shape!r}")
    # Python's integers do not overflow, as NumPy's would.
    count = 1
    for size in sizes:
        count *= size
    if not isinstance(data, bytes | bytearray) or len(data) != count * numbers.itemsize:
        raise PlainPickleError(
            f"it holds an array of shape {shape!r} whose data has another size"
        )
