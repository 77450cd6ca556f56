"""The key map of G, the generator."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import KeyMap, Table, TensorShapes, fixed
from jaxportrait.models.generator import GeneratorConfig

LAYERS: Table = (
    ("fc",                                   "stem",                      "conv2d"),
    ("G_middle_{i}.conv_0",                  "middle.{i}.conv1",          "spectral_conv"),
    ("G_middle_{i}.conv_1",                  "middle.{i}.conv2",          "spectral_conv"),
    ("G_middle_{i}.norm_0.mlp_shared.0",     "middle.{i}.norm1.shared",   "conv2d"),
    ("G_middle_{i}.norm_0.mlp_gamma",        "middle.{i}.norm1.gamma",    "conv2d"),
    ("G_middle_{i}.norm_0.mlp_beta",         "middle.{i}.norm1.beta",     "conv2d"),
    ("G_middle_{i}.norm_1.mlp_shared.0",     "middle.{i}.norm2.shared",   "conv2d"),
    ("G_middle_{i}.norm_1.mlp_gamma",        "middle.{i}.norm2.gamma",    "conv2d"),
    ("G_middle_{i}.norm_1.mlp_beta",         "middle.{i}.norm2.beta",     "conv2d"),
    ("up_0.conv_0",                          "up1.conv1",                 "spectral_conv"),
    ("up_0.conv_1",                          "up1.conv2",                 "spectral_conv"),
    ("up_0.conv_s",                          "up1.shortcut",              "spectral_conv_without_bias"),
    ("up_0.norm_0.mlp_shared.0",             "up1.norm1.shared",          "conv2d"),
    ("up_0.norm_0.mlp_gamma",                "up1.norm1.gamma",           "conv2d"),
    ("up_0.norm_0.mlp_beta",                 "up1.norm1.beta",            "conv2d"),
    ("up_0.norm_1.mlp_shared.0",             "up1.norm2.shared",          "conv2d"),
    ("up_0.norm_1.mlp_gamma",                "up1.norm2.gamma",           "conv2d"),
    ("up_0.norm_1.mlp_beta",                 "up1.norm2.beta",            "conv2d"),
    ("up_0.norm_s.mlp_shared.0",             "up1.shortcut_norm.shared",  "conv2d"),
    ("up_0.norm_s.mlp_gamma",                "up1.shortcut_norm.gamma",   "conv2d"),
    ("up_0.norm_s.mlp_beta",                 "up1.shortcut_norm.beta",    "conv2d"),
    ("up_1.conv_0",                          "up2.conv1",                 "spectral_conv"),
    ("up_1.conv_1",                          "up2.conv2",                 "spectral_conv"),
    ("up_1.conv_s",                          "up2.shortcut",              "spectral_conv_without_bias"),
    ("up_1.norm_0.mlp_shared.0",             "up2.norm1.shared",          "conv2d"),
    ("up_1.norm_0.mlp_gamma",                "up2.norm1.gamma",           "conv2d"),
    ("up_1.norm_0.mlp_beta",                 "up2.norm1.beta",            "conv2d"),
    ("up_1.norm_1.mlp_shared.0",             "up2.norm2.shared",          "conv2d"),
    ("up_1.norm_1.mlp_gamma",                "up2.norm2.gamma",           "conv2d"),
    ("up_1.norm_1.mlp_beta",                 "up2.norm2.beta",            "conv2d"),
    ("up_1.norm_s.mlp_shared.0",             "up2.shortcut_norm.shared",  "conv2d"),
    ("up_1.norm_s.mlp_gamma",                "up2.shortcut_norm.gamma",   "conv2d"),
    ("up_1.norm_s.mlp_beta",                 "up2.shortcut_norm.beta",    "conv2d"),
    ("conv_img.0",                           "head",                      "conv2d"),
)  # fmt: skip


def read_size(shapes: TensorShapes, metadata: Mapping[str, Any]) -> GeneratorConfig:
    """Return the size that the tensors show."""
    image_channels, output_channels = shapes["conv_img.0.weight"][:2]
    return GeneratorConfig(
        features=shapes["fc.weight"][1],
        hidden=shapes["up_0.norm_0.mlp_shared.0.weight"][0],
        output_channels=output_channels,
        # The pixel shuffle makes upscale^2 pixels of 3 channels each.
        upscale=round((image_channels / 3) ** 0.5),
    )


KEY_MAP = KeyMap(read_size, fixed(LAYERS))
