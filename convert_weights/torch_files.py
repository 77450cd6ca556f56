"""Reading PyTorch's own files. Only this module and the proofs import torch."""

import pickle
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from convert_weights.networks.base import ConversionError
from convert_weights.tensors import OddTensor, first_line

DAMAGE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    MemoryError,
    struct.error,
)
"""Errors that PyTorch raises for a damaged file, besides those of a pickle."""
NUMPY_DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
"""Dtypes that are read; float8 and complex numbers are no weights of these networks."""


class Inert:
    """An object of a training program's options, in place of which nothing is made."""

    def __init__(self, *arguments: object):
        pass

    def __setstate__(self, state: object) -> None:
        pass


def inert(module: str, name: str) -> type[Inert]:
    """Return the class that stands for a class of a file."""
    # PyTorch finds an allowed class by these two names.
    return type(name, (Inert,), {"__module__": module})


INERT = (
    inert("argparse", "Namespace"),
    inert("pathlib", "PosixPath"),
    inert("pathlib", "WindowsPath"),
    # Python 3.13 moved them.
    inert("pathlib._local", "PosixPath"),
    inert("pathlib._local", "WindowsPath"),
)
"""Classes of options that a published file holds beside its weights."""


@contextmanager
def inert_options() -> Iterator[None]:
    """Read the options of a training program as `Inert` objects."""
    serialization = torch.serialization
    before = serialization.get_safe_globals()
    serialization.add_safe_globals(list(INERT))
    try:
        yield
    finally:
        serialization.clear_safe_globals()
        serialization.add_safe_globals(before)


def read_torch(path: Path, *, with_options: bool = False) -> dict[Any, Any]:
    """Return the content of a file of `torch.save`, with arrays in place of tensors.

    A tensor that is no array, such as a sparse one, becomes an `OddTensor`.

    Args:
      with_options: the file may hold the options of a training program, which become
        `Inert`.

    Raises:
      ConversionError: the file is damaged, a pickle that would run code, or no names
        and values.
    """
    try:
        # `weights_only` refuses pickles that call anything else.
        with inert_options() if with_options else nullcontext():
            content = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(content, Mapping):
            return plain(content)
    except pickle.UnpicklingError as error:
        raise ConversionError(
            f"{path} is refused: it is damaged, or a pickle that would run code when opened ({_cause(error)})"
        ) from error
    except DAMAGE as error:
        raise ConversionError(
            f"{path} cannot be read ({first_line(error)}): fetch it again"
        ) from error

    raise ConversionError(
        f"{path} holds a {type(content).__name__}, not tensors by name"
    )


def plain(value: Any) -> Any:
    """Return a value with arrays in place of the tensors of its mappings."""
    if isinstance(value, torch.Tensor):
        return as_array(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def as_array(tensor: torch.Tensor) -> np.ndarray | OddTensor:
    """Return a tensor as an array, bfloat16 in float32."""
    kind = odd_kind(tensor)
    if kind is not None:
        return OddTensor(kind)
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.detach().numpy()


def odd_kind(tensor: torch.Tensor) -> str | None:
    """Return the kind of a tensor that is no array of numbers, or None."""
    if tensor.is_meta:
        return "a meta tensor, which has no values"
    if tensor.is_quantized:
        return "quantised"
    if tensor.layout != torch.strided or tensor.is_nested:
        return "sparse or nested"
    if tensor.dtype not in NUMPY_DTYPES:
        return f"of type {tensor.dtype}"
    return None


def _cause(error: BaseException) -> str:
    """Return PyTorch's objection without the advice around it."""
    # PyTorch's first lines are advice to trust the file.
    for line in str(error).splitlines():
        if "Unsupported" in line:
            return line.strip()
    return first_line(error)
