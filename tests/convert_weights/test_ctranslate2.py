"""Whisper in CTranslate2's folders: the same encoder as openai-whisper's file of it."""

import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from convert_weights.bundle import convert_files
from convert_weights.convert import ConversionError
from convert_weights.ctranslate2 import DTYPES, FILE, is_model

WIDTH = 64
HEADS = 2
LAYERS = 2
MEL_BINS = 80
CONTEXT = 12


LAYERS_OF_A_BLOCK = {
    "attn_ln": (WIDTH,),
    "attn.query": (WIDTH, WIDTH),
    "attn.key": (WIDTH, WIDTH),
    "attn.value": (WIDTH, WIDTH),
    "attn.out": (WIDTH, WIDTH),
    "mlp_ln": (WIDTH,),
    "mlp.0": (4 * WIDTH, WIDTH),
    "mlp.2": (WIDTH, 4 * WIDTH),
}
RENAMES = {
    "attn_ln": "self_attention/layer_norm",
    "attn.out": "self_attention/linear_1",
    "mlp_ln": "ffn/layer_norm",
    "mlp.0": "ffn/linear_0",
    "mlp.2": "ffn/linear_1",
}
"""Layer of openai-whisper's block -> CTranslate2's."""


def draw(name: str, *shape: int) -> np.ndarray:
    """Return values that differ from name to name."""
    rng = np.random.default_rng(list(name.encode()))
    return rng.normal(size=shape).astype(np.float16)


def openai_tensors() -> dict[str, np.ndarray]:
    """Return an encoder by openai-whisper's names."""
    shapes = {
        "conv1": (WIDTH, MEL_BINS, 3),
        "conv2": (WIDTH, WIDTH, 3),
        "ln_post": (WIDTH,),
    }
    for index in range(LAYERS):
        for name, shape in LAYERS_OF_A_BLOCK.items():
            shapes[f"blocks.{index}.{name}"] = shape
    positions = draw("positions", CONTEXT, WIDTH)
    tensors = {"encoder.positional_embedding": positions}
    for name, shape in shapes.items():
        tensors[f"encoder.{name}.weight"] = draw(f"{name} weight", *shape)
        # Whisper's keys have no bias.
        if not name.endswith("key"):
            tensors[f"encoder.{name}.bias"] = draw(f"{name} bias", shape[0])
    return tensors


def variables_of(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the same encoder as CTranslate2's converter lays it out."""
    variables = {
        "encoder/num_heads": np.array(HEADS, np.int16),
        "encoder/position_encodings/encodings": tensors["encoder.positional_embedding"],
        "decoder/embeddings/weight": draw("decoder", 8, WIDTH),
    }
    modules = {"conv1": "conv1", "conv2": "conv2", "ln_post": "layer_norm"}
    for index in range(LAYERS):
        for name, other in RENAMES.items():
            modules[f"blocks.{index}.{name}"] = f"layer_{index}/{other}"
        fused = f"encoder/layer_{index}/self_attention/linear_0"
        for leaf in ("weight", "bias"):
            variables[f"{fused}/{leaf}"] = fuse(tensors, index, leaf)
    for name, other in modules.items():
        leaves = ("gamma", "beta") if "norm" in other else ("weight", "bias")
        variables[f"encoder/{other}/{leaves[0]}"] = tensors[f"encoder.{name}.weight"]
        variables[f"encoder/{other}/{leaves[1]}"] = tensors[f"encoder.{name}.bias"]
    return variables


def fuse(tensors: dict[str, np.ndarray], index: int, leaf: str) -> np.ndarray:
    """Return queries, keys and values of a block as one layer."""
    zeros = np.zeros(WIDTH, np.float16)
    attention = f"encoder.blocks.{index}.attn"
    parts = [f"{attention}.{name}.{leaf}" for name in ("query", "key", "value")]
    return np.concatenate([tensors.get(part, zeros) for part in parts])


def text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def write_model(
    folder: Path,
    variables: dict[str, np.ndarray],
    aliases: dict[str, str] | None = None,
    *,
    version: int = 6,
    specification: str = "WhisperSpec",
) -> Path:
    folder.mkdir()
    pieces = [struct.pack("<I", version), text(specification)]
    pieces.append(struct.pack("<II", 3, len(variables)))
    for name, value in variables.items():
        pieces += [text(name), struct.pack("<B", value.ndim)]
        pieces.append(struct.pack(f"<{value.ndim}I", *value.shape))
        pieces.append(struct.pack("<BI", DTYPES.index(value.dtype), value.nbytes))
        pieces.append(value.tobytes())
    aliases = aliases or {}
    pieces.append(struct.pack("<I", len(aliases)))
    for alias, name in aliases.items():
        pieces += [text(alias), text(name)]
    (folder / FILE).write_bytes(b"".join(pieces))
    return folder


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return openai_tensors()


@pytest.fixture
def variables(tensors) -> dict[str, np.ndarray]:
    return variables_of(tensors)


def as_type(variables: dict[str, np.ndarray], dtype) -> dict[str, np.ndarray]:
    # The number of heads stays an integer.
    return {
        name: value if value.ndim == 0 else value.astype(dtype)
        for name, value in variables.items()
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_folder_is_converted_as_the_file_of_the_same_encoder(
    tensors, variables, dtype, tmp_path
):
    torch = pytest.importorskip("torch")
    file = tmp_path / "tiny.pt"
    state_dict = {name: torch.from_numpy(value) for name, value in tensors.items()}
    torch.save({"dims": {"n_audio_head": HEADS}, "model_state_dict": state_dict}, file)
    folder = write_model(tmp_path / "folder", as_type(variables, dtype))
    by_file = convert_files({"whisper": file})
    by_folder = convert_files({"whisper": folder})
    assert by_folder.configs == by_file.configs
    expected = by_file.params["whisper"]
    leaves = by_folder.params["whisper"]
    assert set(leaves) == set(expected)
    for name, leaf in leaves.items():
        assert_array_equal(leaf, expected[name], err_msg=name)


def test_bfloat16_is_widened_and_an_alias_is_followed(variables, tmp_path):
    variables = as_type(variables, ml_dtypes.bfloat16)
    alias = "encoder/layer_1/ffn/layer_norm/beta"
    name = "encoder/layer_0/ffn/layer_norm/beta"
    del variables[alias]
    folder = write_model(tmp_path / "folder", variables, {alias: name})
    leaves = convert_files({"whisper": folder}).params["whisper"]
    assert_array_equal(
        leaves["blocks.1.mlp_norm.bias"], variables[name].astype(np.float32)
    )


def test_only_a_folder_with_a_model_is_one(variables, tmp_path):
    assert is_model(write_model(tmp_path / "folder", variables))
    assert not is_model(tmp_path)
    assert not is_model(tmp_path / "folder" / FILE)


def test_a_folder_without_a_model_is_one_error(tmp_path):
    with pytest.raises(ConversionError, match=r"holds no model\.bin: pass a folder"):
        convert_files({"whisper": tmp_path})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 3}, "is of version 3 of CTranslate2's format"),
        ({"specification": "TransformerSpec"}, "holds a TransformerSpec, not Whisper"),
    ],
)
def test_another_model_is_refused(variables, change, complaint, tmp_path):
    folder = write_model(tmp_path / "folder", variables, **change)
    with pytest.raises(ConversionError, match=complaint):
        convert_files({"whisper": folder})


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.3, 0.999])
def test_a_file_cut_short_is_refused(variables, share, tmp_path):
    folder = write_model(tmp_path / "folder", variables)
    data = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(data[: int(share * len(data))])
    with pytest.raises(ConversionError, match="damaged or cut short"):
        convert_files({"whisper": folder})


def test_a_quantised_model_is_refused(variables, tmp_path):
    name = "encoder/layer_0/ffn/linear_0/weight"
    variables[name] = variables[name].astype(np.int8)
    folder = write_model(tmp_path / "folder", variables)
    with pytest.raises(ConversionError, match=r"is quantised .*linear_0/weight"):
        convert_files({"whisper": folder})


def test_a_variable_of_no_counterpart_and_a_bias_of_keys_are_reported(
    variables, tmp_path
):
    variables["encoder/layer_0/self_attention/gate"] = draw("gate", WIDTH)
    variables["encoder/layer_1/self_attention/linear_0/bias"][WIDTH] = 1
    folder = write_model(tmp_path / "folder", variables)
    with pytest.raises(ConversionError) as error:
        convert_files({"whisper": folder})
    assert "encoder/layer_0/self_attention/gate" in str(error.value)
    assert "encoder.blocks.1.attn.key.bias" in str(error.value)
