"""The key map of JoyVASA's denoiser."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import KeyMap, Table, TensorShapes, fixed
from jaxportrait.models.motion_diffusion import MotionDiffusionConfig

HEADS = 8
"""Attention heads of every published file."""
FEATURES_PER_FRAME = 2
"""Audio features at 50 a second, frames at 25."""

BLOCK = "denoising_net.transformer.layers.{i}"
LAYERS: Table = (
    ("start_motion_feat",               "start_motion",                "first"),
    ("start_audio_feat",                "start_audio",                 "first"),
    ("null_audio_feat",                 "null_audio",                  "row"),
    ("audio_feature_map",               "audio_map",                   "linear"),
    ("denoising_net.diff_step_map.0",   "step.expand",                 "linear"),
    ("denoising_net.diff_step_map.2",   "step.project",                "linear"),
    ("denoising_net.feature_proj",      "motion_in",                   "linear"),
    (f"{BLOCK}.self_attn.in_proj",      "blocks.{i}.attention.qkv",    "linear"),
    (f"{BLOCK}.self_attn.out_proj",     "blocks.{i}.attention.out",    "linear"),
    (f"{BLOCK}.multihead_attn.value",   "blocks.{i}.audio_value",      "linear"),
    (f"{BLOCK}.multihead_attn.out_proj", "blocks.{i}.audio_out",       "linear"),
    (f"{BLOCK}.linear1",                "blocks.{i}.expand",           "linear"),
    (f"{BLOCK}.linear2",                "blocks.{i}.project",          "linear"),
    (f"{BLOCK}.norm1",                  "blocks.{i}.attention_norm",   "layer_norm"),
    (f"{BLOCK}.norm2",                  "blocks.{i}.audio_norm",       "layer_norm"),
    (f"{BLOCK}.norm3",                  "blocks.{i}.mlp_norm",         "layer_norm"),
    ("denoising_net.motion_dec.0",      "motion_expand",               "linear"),
    ("denoising_net.motion_dec.2",      "motion_out",                  "linear"),
)  # fmt: skip

TABLE = "a table, which is computed, and was compared"
UNUSED = "asks for the one frame of audio that there is: without influence"


def read_size(
    shapes: TensorShapes, metadata: Mapping[str, Any]
) -> MotionDiffusionConfig:
    """Return the size that the tensors show.

    The heads are in no shape, and neither is the way of positions: `metadata` has
    `positions`, and may have `heads`.
    """
    _, earlier_frames, motion_width = shapes["start_motion_feat"]
    width, audio_width = shapes["audio_feature_map.weight"]
    motion_frames = shapes["denoising_net.alignment_mask"][0] - earlier_frames
    return MotionDiffusionConfig(
        motion_width=motion_width,
        audio_width=audio_width,
        width=width,
        heads=metadata.get("heads", HEADS),
        blocks=shapes.count(BLOCK),
        motion_frames=motion_frames,
        audio_frames=FEATURES_PER_FRAME * motion_frames,
        earlier_frames=earlier_frames,
        # The tables begin with the data itself.
        steps=shapes["diffusion_sched.betas"][0] - 1,
        positions=metadata["positions"],
    )


KEY_MAP = KeyMap(
    read_size,
    fixed(LAYERS),
    (
        ("denoising_net.*.pe", TABLE),
        ("denoising_net.alignment_mask", TABLE),
        ("diffusion_sched.*", TABLE),
        ("*.multihead_attn.query.*", UNUSED),
        ("*.multihead_attn.key.*", UNUSED),
    ),
)
