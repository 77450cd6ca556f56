"""The key map of Ditto's LMDM, its latent motion diffusion model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from convert_weights.networks.base import KeyMap, Table, TensorShapes, fixed
from jaxportrait.models.lmdm import LMDMConfig
from jaxportrait.ops.rope import rotary_frequencies

HEADS = 8
"""Attention heads of the published network, which no tensor shows."""

BLOCK = "seqTransDecoder.stack.{i}"

LAYERS: Table = (
    ("null_cond_embed",                       "null_condition",                        "array"),
    ("null_cond_hidden",                      "null_pooled",                           "row"),
    ("time_mlp.1",                            "time_expand",                           "linear"),
    ("to_time_cond.0",                        "time_vector",                           "linear"),
    ("to_time_tokens.0",                      "time_tokens",                           "linear"),
    ("norm_cond",                             "memory_norm",                           "layer_norm"),
    ("input_projection",                      "motion_in",                             "linear"),
    ("cond_projection",                       "condition_in",                          "linear"),
    ("cond_encoder.{i}.self_attn",            "encoder.{i}.attention.qkv",             "packed_qkv"),
    ("cond_encoder.{i}.self_attn.out_proj",   "encoder.{i}.attention.out",             "linear"),
    ("cond_encoder.{i}.linear1",              "encoder.{i}.mlp.expand",                "linear"),
    ("cond_encoder.{i}.linear2",              "encoder.{i}.mlp.project",               "linear"),
    ("cond_encoder.{i}.norm1",                "encoder.{i}.attention_norm",            "layer_norm"),
    ("cond_encoder.{i}.norm2",                "encoder.{i}.mlp_norm",                  "layer_norm"),
    ("non_attn_cond_projection.0",            "pool_norm",                             "layer_norm"),
    ("non_attn_cond_projection.1",            "pool_expand",                           "linear"),
    ("non_attn_cond_projection.3",            "pool_project",                          "linear"),
    (f"{BLOCK}.self_attn",                    "blocks.{i}.attention.qkv",              "packed_qkv"),
    (f"{BLOCK}.self_attn.out_proj",           "blocks.{i}.attention.out",              "linear"),
    (f"{BLOCK}.multihead_attn",               "blocks.{i}.cross_attention.qkv",        "packed_qkv"),
    (f"{BLOCK}.multihead_attn.out_proj",      "blocks.{i}.cross_attention.out",        "linear"),
    (f"{BLOCK}.linear1",                      "blocks.{i}.mlp.expand",                 "linear"),
    (f"{BLOCK}.linear2",                      "blocks.{i}.mlp.project",                "linear"),
    (f"{BLOCK}.norm1",                        "blocks.{i}.attention_norm",             "layer_norm"),
    (f"{BLOCK}.norm2",                        "blocks.{i}.cross_norm",                 "layer_norm"),
    (f"{BLOCK}.norm3",                        "blocks.{i}.mlp_norm",                   "layer_norm"),
    (f"{BLOCK}.film1.block.1",                "blocks.{i}.attention_film.linear",      "linear"),
    (f"{BLOCK}.film2.block.1",                "blocks.{i}.cross_film.linear",          "linear"),
    (f"{BLOCK}.film3.block.1",                "blocks.{i}.mlp_film.linear",            "linear"),
    ("final_layer",                           "motion_out",                            "linear"),
)  # fmt: skip


def read_size(shapes: TensorShapes, metadata: Mapping[str, Any]) -> LMDMConfig:
    """Return the size that the tensors show."""
    # The stand-in for a condition is a whole window: (1, frames, width).
    _, frames, width = shapes["null_cond_embed"]
    return LMDMConfig(
        motion_width=shapes["final_layer.weight"][0],
        condition_width=shapes["cond_projection.weight"][1],
        width=width,
        hidden=shapes[f"{BLOCK}.linear1.weight".format(i=0)][0],
        heads=HEADS,
        blocks=shapes.count(BLOCK),
        encoder_blocks=shapes.count("cond_encoder.{i}"),
        frames=frames,
    )


def rotary_tables(config: LMDMConfig) -> dict[str, np.ndarray]:
    """Return the table of frequencies, which the file holds once a network of blocks."""
    return {"*rotary.freqs": rotary_frequencies(config.width)}


KEY_MAP = KeyMap(read_size, fixed(LAYERS), tables=rotary_tables)
