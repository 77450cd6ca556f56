"""The key map of T, the flow transformer."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import KeyMap, Table, TensorShapes, fixed
from jaxportrait.models.flow_transformer import FlowTransformerConfig

STATISTICS = ("statistics.mean", "statistics.std")

LAYERS: Table = (
    ("latent_mean",                                          "statistics.mean",                          "row"),
    ("latent_std",                                           "statistics.std",                           "row"),
    ("empty_aud_feat",                                       "null_audio",                               "row"),
    ("latent_proj.0",                                        "motion_stem.conv",                         "conv1d"),
    ("latent_proj.2",                                        "motion_stem.mlp",                          "gated_mlp"),
    ("aud_cond_proj.0",                                      "audio_stem.conv",                          "conv1d"),
    ("aud_cond_proj.2",                                      "audio_stem.mlp",                           "gated_mlp"),
    ("global_aud_cond_proj",                                 "pooled_audio",                             "linear"),
    ("t_embed.mlp.0",                                        "time.expand",                              "linear"),
    ("t_embed.mlp.2",                                        "time.project",                             "linear"),
    ("joint_blocks.{i}.latent_block.adaLN_modulation.1",     "joint_blocks.{i}.motion.modulation.linear", "linear"),
    ("joint_blocks.{i}.latent_block.attn.qkv",               "joint_blocks.{i}.motion.qkv",              "qkv"),
    ("joint_blocks.{i}.latent_block.attn.q_norm",            "joint_blocks.{i}.motion.qkv.query_norm",   "rms_norm"),
    ("joint_blocks.{i}.latent_block.attn.k_norm",            "joint_blocks.{i}.motion.qkv.key_norm",     "rms_norm"),
    ("joint_blocks.{i}.latent_block.linear1",                "joint_blocks.{i}.motion.out",              "conv1d"),
    ("joint_blocks.{i}.latent_block.ffn",                    "joint_blocks.{i}.motion.mlp",              "gated_mlp"),
    ("joint_blocks.{i}.audio_block.adaLN_modulation.1",      "joint_blocks.{i}.audio.modulation.linear", "linear"),
    ("joint_blocks.{i}.audio_block.attn.qkv",                "joint_blocks.{i}.audio.qkv",               "qkv"),
    ("joint_blocks.{i}.audio_block.attn.q_norm",             "joint_blocks.{i}.audio.qkv.query_norm",    "rms_norm"),
    ("joint_blocks.{i}.audio_block.attn.k_norm",             "joint_blocks.{i}.audio.qkv.key_norm",      "rms_norm"),
    ("joint_blocks.{i}.audio_block.linear1",                 "joint_blocks.{i}.audio.out",               "conv1d"),
    ("joint_blocks.{i}.audio_block.ffn",                     "joint_blocks.{i}.audio.mlp",               "gated_mlp"),
    ("fused_blocks.{i}.adaLN_modulation.1",                  "fused_blocks.{i}.modulation.linear",       "linear"),
    ("fused_blocks.{i}.attn.qkv",                            "fused_blocks.{i}.qkv",                     "qkv"),
    ("fused_blocks.{i}.attn.q_norm",                         "fused_blocks.{i}.qkv.query_norm",          "rms_norm"),
    ("fused_blocks.{i}.attn.k_norm",                         "fused_blocks.{i}.qkv.key_norm",            "rms_norm"),
    ("fused_blocks.{i}.linear1",                             "fused_blocks.{i}.out",                     "conv1d"),
    ("fused_blocks.{i}.ffn",                                 "fused_blocks.{i}.mlp",                     "gated_mlp"),
    ("final_layer.adaLN_modulation.1",                       "final_modulation.linear",                  "linear"),
    ("final_layer.conv",                                     "final_conv",                               "conv1d"),
)  # fmt: skip


def read_size(
    shapes: TensorShapes, metadata: Mapping[str, Any]
) -> FlowTransformerConfig:
    """Return the size that the tensors show."""
    width, motion_width = shapes["latent_proj.0.weight"][:2]
    return FlowTransformerConfig(
        motion_width=motion_width,
        audio_width=shapes["aud_cond_proj.0.weight"][1],
        width=width,
        # The norm of queries is as wide as one head.
        heads=width // shapes["fused_blocks.0.attn.q_norm.weight"][0],
        joint_blocks=shapes.count("joint_blocks.{i}"),
        fused_blocks=shapes.count("fused_blocks.{i}"),
    )


KEY_MAP = KeyMap(
    read_size,
    fixed(LAYERS),
    (("global_cond_mlp.*", "stored by the original, which never calls it"),),
    STATISTICS,
)
