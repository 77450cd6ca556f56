"""Reading files of tensors, and pickles, as NumPy arrays, without running code.

PyTorch is imported only for its own files; safetensors are read without it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from convert_weights.convert import Tensors
from convert_weights.networks.base import ConversionError
from jaxportrait.motion.plain_pickle import PlainPickleError, load_plain

SAFETENSORS_SUFFIXES = (".safetensors", ".sft")
NUMPY_DTYPES = frozenset(
    ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL")
)
"""Dtypes of safetensors that NumPy reads; bfloat16 by the package ml_dtypes of JAX."""
STATE_DICT = "state_dict"
"""Entry in which training programs keep the weights beside their own state."""


class OddTensor(NamedTuple):
    """A tensor in place of which there is no array; `kind` says why."""

    kind: str


def read_pickle(path: Path) -> Any:
    """Return the content of a pickle of plain containers and arrays.

    Raises:
      ConversionError: there is no such file, it would run code, or is damaged.
    """
    if not path.is_file():
        raise ConversionError(f"no file {path}")
    try:
        return load_plain(path.read_bytes())
    except PlainPickleError as error:
        raise ConversionError(f"{path} is refused: {error}") from error


def read_tensors(path: Path, *, with_options: bool = False) -> dict[str, Any]:
    """Return the content of a .pth, .pt or safetensors file.

    The content is names -> arrays, possibly nested. A pickle may hold tensors and only
    plain containers: one that would run code is refused.

    Args:
      with_options: a file of PyTorch may hold the options of a training program; nothing
        of them is kept.

    Raises:
      ConversionError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise ConversionError(f"no file {path}")
    try:
        if path.suffix in SAFETENSORS_SUFFIXES or is_safetensors(path):
            return read_safetensors(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ConversionError(
            f"{path} cannot be read ({first_line(error)}): fetch it again"
        ) from error
    try:
        # PyTorch takes a second to import, and may not be installed.
        from convert_weights.torch_files import read_torch
    except ModuleNotFoundError as error:
        raise ConversionError(
            f"{path} is a file of PyTorch, which is not installed: run `pip install torch`, "
            "or pass the weights as safetensors"
        ) from error
    return dict(inner_state(read_torch(path, with_options=with_options)))


def is_safetensors(path: Path) -> bool:
    """Return whether a file begins as safetensors do: the length of a JSON object, and
    the object."""
    with path.open("rb") as file:
        head = file.read(9)
    length = int.from_bytes(head[:8], "little")
    return head[8:] == b"{" and length < path.stat().st_size


def read_safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors of a safetensors file by name."""
    tensors: dict[str, Any] = {}
    with safe_open(path, framework="np") as file:
        for name in file.keys():  # noqa: SIM118, it is no mapping
            dtype = file.get_slice(name).get_dtype()
            if dtype in NUMPY_DTYPES:
                tensors[name] = file.get_tensor(name)
            else:
                tensors[name] = OddTensor(f"of type {dtype}")
    return tensors


def inner_state(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the state dict that a training program has put into an entry, or the
    content itself."""
    while isinstance(content.get(STATE_DICT), Mapping):
        content = content[STATE_DICT]
    return content


def as_arrays(tensors: Mapping[Any, Any], name: str) -> Tensors:
    """Return a state dict's tensors by name; bfloat16 is widened.

    Args:
      tensors: content of a file, or an entry of it.
      name: name of the file, for messages.

    Raises:
      ConversionError: it is no state dict, or a tensor is of a kind that is not
        converted.
    """
    tensors = inner_state(tensors)
    odd_names = [key for key in tensors if not isinstance(key, str)]
    if odd_names:
        raise ConversionError(
            f"{name} is no state dict: {_some(map(repr, odd_names))} are no names of tensors"
        )
    odd = [key for key in tensors if isinstance(tensors[key], OddTensor)]
    if odd:
        raise ConversionError(
            f"{name} has tensors that are not converted: {_some(odd)}, which is {tensors[odd[0]].kind}: "
            "save dense tensors of float32"
        )
    # Optimizer states and other nested contents are no weights.
    strangers = [key for key in tensors if not isinstance(tensors[key], np.ndarray)]
    if strangers:
        raise ConversionError(
            f"{name} is no state dict: {_some(strangers)} are not tensors"
        )
    return {key: widened(tensor) for key, tensor in tensors.items()}


def widened(array: np.ndarray) -> np.ndarray:
    """Return an array of bfloat16, which is no dtype of NumPy itself, in float32."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def first_line(error: BaseException) -> str:
    """Return the first line of a message, or the error's type where it has none."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _some(names: Any) -> str:
    """Return a few names; they are enough to recognise a file."""
    return ", ".join(list(names)[:5])
