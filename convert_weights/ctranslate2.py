"""Whisper as CTranslate2 stores it, in the folders of faster-whisper: `model.bin` ->
tensors by openai-whisper's names.

Only the encoder is read: audio features come from nothing else.

Source: CTranslate2 (MIT), the format of `model.bin` in versions 2 to 6 of its binary
format, and its specification WhisperSpec, revision 3.
"""

import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from convert_weights.convert import ConversionError, Tensors

FILE = "model.bin"
SPECIFICATION = "WhisperSpec"
# Version 4 introduced the table of types.
VERSIONS = range(4, 7)
ENCODER = "encoder/"
HEADS = "encoder/num_heads"

DTYPES = (
    np.dtype(np.float32),
    np.dtype(np.int8),
    np.dtype(np.int16),
    np.dtype(np.int32),
    np.dtype(np.float16),
    np.dtype(ml_dtypes.bfloat16),
)
"""By the number that a variable's type has in the file."""

MODULES = (
    (r"conv(\d)", r"conv\1"),
    (r"layer_norm", "ln_post"),
    (r"layer_(\d+)/self_attention/layer_norm", r"blocks.\1.attn_ln"),
    (r"layer_(\d+)/self_attention/linear_1", r"blocks.\1.attn.out"),
    (r"layer_(\d+)/ffn/layer_norm", r"blocks.\1.mlp_ln"),
    (r"layer_(\d+)/ffn/linear_0", r"blocks.\1.mlp.0"),
    (r"layer_(\d+)/ffn/linear_1", r"blocks.\1.mlp.2"),
)
"""Module of CTranslate2 -> module of openai-whisper, both inside the encoder."""
LEAVES = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
POSITIONS = "position_encodings/encodings"
# One layer for queries, keys and values, whose outputs follow each other.
FUSED = re.compile(r"layer_(\d+)/self_attention/linear_0/(weight|bias)")


def is_model(path: Path) -> bool:
    """Return whether a path is a folder that holds a CTranslate2 model."""
    return (path / FILE).is_file()


def read_whisper(folder: Path) -> dict[str, Any]:
    """Return the encoder of a folder, laid out as openai-whisper's own files.

    Returns:
      `dims` with the number of heads, and `model_state_dict` of NumPy arrays.

    Raises:
      ConversionError: the folder holds no Whisper model, one of another version, a
        quantised or a damaged one.
    """
    path = folder / FILE
    if not path.is_file():
        raise ConversionError(
            f"{folder} holds no {FILE}: pass a folder of faster-whisper's layout, or a .pt file"
        )
    try:
        variables = _read_variables(path)
    except (struct.error, LookupError, ValueError, OverflowError) as error:
        if isinstance(error, ConversionError):
            raise
        raise ConversionError(
            f"{path} is damaged or cut short ({error}): fetch it again"
        ) from error
    tensors: dict[str, np.ndarray] = {}
    for name, value in variables.items():
        if name.startswith(ENCODER) and name != HEADS:
            tensors |= _renamed(name.removeprefix(ENCODER), value, path)
    return {"dims": _dims(variables), "model_state_dict": tensors}


def _dims(variables: Tensors) -> dict[str, int]:
    # CTranslate2 leaves its default of 8 heads out.
    heads = variables.get(HEADS)
    return {"n_audio_head": 8 if heads is None else int(heads)}


def _renamed(name: str, value: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    """Return a variable of the encoder as tensors of openai-whisper.

    One that has no counterpart keeps its name: the conversion reports it.
    """
    if name.endswith("_scale") or np.issubdtype(value.dtype, np.integer):
        raise ConversionError(
            f"{path} is quantised ({ENCODER}{name}): pass the model in float16 or float32"
        )
    value = value.astype(np.float32)
    if name == POSITIONS:
        return {"encoder.positional_embedding": value}
    match = FUSED.fullmatch(name)
    if match is not None:
        return _unfused(match[1], match[2], value, path)
    module, _, leaf = name.rpartition("/")
    for pattern, replacement in MODULES:
        match = re.fullmatch(pattern, module)
        if match is not None and leaf in LEAVES:
            return {f"encoder.{match.expand(replacement)}.{LEAVES[leaf]}": value}
    return {ENCODER + name: value}


def _unfused(
    layer: str, leaf: str, value: np.ndarray, path: Path
) -> dict[str, np.ndarray]:
    """Return the parts of the layer that queries, keys and values share."""
    if len(value) % 3:
        raise ConversionError(
            f"{path} has {len(value)} outputs for queries, keys and values, no multiple of 3"
        )
    query, key, value = np.split(value, 3)
    attention = f"encoder.blocks.{layer}.attn"
    tensors = {f"{attention}.query.{leaf}": query, f"{attention}.value.{leaf}": value}
    # Whisper's keys have no bias; the shared layer holds zeros for it.
    if leaf == "weight" or key.any():
        tensors[f"{attention}.key.{leaf}"] = key
    return tensors


@dataclass
class _Reader:
    """Reads a file from its start; reading beyond its end is a `struct.error`."""

    data: memoryview
    position: int = 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from(f"<{code}", self.data, self.position)
        self.position += struct.calcsize(f"<{code}")
        return value

    def text(self) -> str:
        # The length counts a zero byte at the end.
        return str(self.piece(self.number("H"))[:-1], "utf-8")

    def piece(self, count: int) -> memoryview:
        end = self.position + count
        if end > len(self.data):
            raise ValueError(f"{count} bytes at {self.position}, beyond its end")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def variable(self) -> tuple[str, np.ndarray]:
        name = self.text()
        rank = self.number("B")
        shape = [self.number("I") for _ in range(rank)]
        dtype = DTYPES[self.number("B")]
        data = self.piece(self.number("I"))
        return name, np.frombuffer(data, dtype).reshape(shape)


def _read_variables(path: Path) -> dict[str, np.ndarray]:
    """Return every variable of a model by its name, aliases included."""
    # Mapped, so that the decoder costs no memory.
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    reader = _Reader(memoryview(data))
    version = reader.number("I")
    if version not in VERSIONS:
        raise ConversionError(
            f"{path} is of version {version} of CTranslate2's format, or no such file: "
            f"versions {VERSIONS[0]} to {VERSIONS[-1]} are read"
        )
    specification = reader.text()
    reader.number("I")  # its revision
    if specification != SPECIFICATION:
        raise ConversionError(
            f"{path} holds a {specification}, not Whisper: pass a folder of a Whisper model"
        )
    variables = dict(reader.variable() for _ in range(reader.number("I")))
    for _ in range(reader.number("I")):
        alias = reader.text()
        variables[alias] = variables[reader.text()]
    return variables
