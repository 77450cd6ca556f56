"""The key map of Whisper's encoder."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import KeyMap, Table, TensorShapes, fixed
from jaxportrait.models.whisper import WhisperConfig

HEAD_WIDTH = 64
"""Values of a head in every published model."""

LAYERS: Table = (
    ("encoder.positional_embedding",        "positions",                      "array"),
    ("encoder.conv1",                       "conv1",                          "conv1d"),
    ("encoder.conv2",                       "conv2",                          "conv1d"),
    ("encoder.blocks.{i}.attn_ln",          "blocks.{i}.attention_norm",      "layer_norm"),
    ("encoder.blocks.{i}.attn.query",       "blocks.{i}.attention.query",     "linear"),
    ("encoder.blocks.{i}.attn.key",         "blocks.{i}.attention.key",       "linear_without_bias"),
    ("encoder.blocks.{i}.attn.value",       "blocks.{i}.attention.value",     "linear"),
    ("encoder.blocks.{i}.attn.out",         "blocks.{i}.attention.out",       "linear"),
    ("encoder.blocks.{i}.mlp_ln",           "blocks.{i}.mlp_norm",            "layer_norm"),
    ("encoder.blocks.{i}.mlp.0",            "blocks.{i}.expand",              "linear"),
    ("encoder.blocks.{i}.mlp.2",            "blocks.{i}.project",             "linear"),
)  # fmt: skip


def read_size(shapes: TensorShapes, metadata: Mapping[str, Any]) -> WhisperConfig:
    """Return the size; the file's metadata names the heads, which no shape shows."""
    width, mel_bins, _ = shapes["encoder.conv1.weight"]
    # A file without the metadata gets the published head width.
    heads = metadata.get("n_audio_head", width // HEAD_WIDTH)
    return WhisperConfig(
        mel_bins=mel_bins,
        context=shapes["encoder.positional_embedding"][0],
        width=width,
        heads=heads,
        layers=shapes.count("encoder.blocks.{i}"),
    )


KEY_MAP = KeyMap(
    read_size,
    fixed(LAYERS),
    (
        ("decoder.*", "the text decoder: audio features come from the encoder"),
        ("encoder.ln_post.*", "the final norm: features are taken before it"),
    ),
)
