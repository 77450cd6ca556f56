"""The key map of HuBERT's encoder, by the names of Hugging Face's transformers."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import KeyMap, Table, TensorShapes, fixed
from jaxportrait.models.hubert import HubertConfig

HEAD_WIDTH = 64
"""Values of a head in every published model."""

LAYERS: Table = (
    ("feature_extractor.conv_layers.{i}.conv",                   "convs.{i}",                  "linear_without_bias"),
    ("feature_extractor.conv_layers.0.layer_norm",               "convs.0.norm",               "layer_norm"),
    ("feature_projection.layer_norm",                            "sample_norm",                "layer_norm"),
    ("feature_projection.projection",                            "projection",                 "linear"),
    ("encoder.pos_conv_embed.conv",                              "positions",                  "conv1d"),
    ("encoder.layer_norm",                                       "norm",                       "layer_norm"),
    ("encoder.layers.{i}.attention.q_proj",                      "blocks.{i}.attention.query", "linear"),
    ("encoder.layers.{i}.attention.k_proj",                      "blocks.{i}.attention.key",   "linear_without_bias"),
    ("encoder.layers.{i}.attention.v_proj",                      "blocks.{i}.attention.value", "linear"),
    ("encoder.layers.{i}.attention.out_proj",                    "blocks.{i}.attention.out",   "linear"),
    ("encoder.layers.{i}.layer_norm",                            "blocks.{i}.attention_norm",  "layer_norm"),
    ("encoder.layers.{i}.feed_forward.intermediate_dense",       "blocks.{i}.expand",          "linear"),
    ("encoder.layers.{i}.feed_forward.output_dense",             "blocks.{i}.project",         "linear"),
    ("encoder.layers.{i}.final_layer_norm",                      "blocks.{i}.mlp_norm",        "layer_norm"),
)  # fmt: skip


def read_size(shapes: TensorShapes, metadata: Mapping[str, Any]) -> HubertConfig:
    """Return the size that the tensors show.

    The features of a window and the heads are in no shape: `metadata` has `context`,
    and may have `heads`.
    """
    channels, *_ = shapes["feature_extractor.conv_layers.0.conv.weight"]
    # A grouped convolution has the inputs of one group.
    width, group, taps = shapes["encoder.pos_conv_embed.conv.weight"]
    hidden, _ = shapes["encoder.layers.0.feed_forward.intermediate_dense.weight"]
    return HubertConfig(
        context=metadata["context"],
        channels=channels,
        width=width,
        heads=metadata.get("heads", width // HEAD_WIDTH),
        layers=shapes.count("encoder.layers.{i}"),
        hidden=hidden,
        position_taps=taps,
        position_groups=width // group,
    )


KEY_MAP = KeyMap(
    read_size,
    fixed(LAYERS),
    (
        ("masked_spec_embed", "hides features in training, inference hides none"),
        ("*.k_proj.bias", "the bias of a key, which softmax cancels"),
    ),
)
