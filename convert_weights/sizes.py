"""The size of a network, read off its tensors, so that files of any size convert
without being told theirs.

A shape that disagrees with the sizes read here is found by the engine afterwards.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from convert_weights.convert import ConversionError
from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.dense_motion import WarpingConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.models.vgg import VGGConfig
from jaxportrait.models.whisper import WhisperConfig

Shape = tuple[int, ...]


class TensorShapes:
    """Names and shapes of a state dict; asking for one that is missing says what file
    this is not."""

    def __init__(self, shapes: Mapping[str, Shape], name: str):
        self._shapes, self._name = shapes, name

    def __getitem__(self, key: str) -> Shape:
        if key not in self._shapes:
            some = ", ".join(list(self._shapes)[:3])
            raise ConversionError(
                f"{self._name} has no tensor {key}, so it is another network's file (it has: {some}, ...)"
            )
        return self._shapes[key]

    def __contains__(self, key: str) -> bool:
        return key in self._shapes

    def count(self, template: str) -> int:
        """How many numbers `{i}` stands for in names that begin with `template`."""
        pattern = re.compile(
            re.escape(template).replace(r"\{i\}", r"(\d+)") + r"(\.|$)"
        )
        return len({match[1] for key in self._shapes if (match := pattern.match(key))})


def appearance(shapes: TensorShapes) -> AppearanceConfig:
    volume_channels = shapes["resblocks_3d.3dr0.conv1.weight"][0]
    return AppearanceConfig(
        base_channels=shapes["first.conv.weight"][0],
        max_channels=shapes["second.weight"][0],
        down_blocks=shapes.count("down_blocks.{i}"),
        volume_channels=volume_channels,
        volume_depth=shapes["second.weight"][0] // volume_channels,
        residual_blocks=shapes.count("resblocks_3d.3dr{i}"),
    )


def motion(shapes: TensorShapes) -> MotionConfig:
    stages = range(shapes.count("detector.stages.{i}"))
    return MotionConfig(
        depths=tuple(
            shapes.count(f"detector.stages.{stage}.{{i}}") for stage in stages
        ),
        widths=tuple(
            shapes[f"detector.stages.{stage}.0.norm.weight"][0] for stage in stages
        ),
        keypoints=shapes["detector.fc_kp.weight"][0] // 3,
        pose_bins=shapes["detector.fc_pitch.weight"][0],
    )


def warping(shapes: TensorShapes) -> WarpingConfig:
    dense, hourglass = "dense_motion_network", "dense_motion_network.hourglass"
    blocks = shapes.count(f"{hourglass}.encoder.down_blocks.{{i}}")
    compressed, volume_channels = shapes[f"{dense}.compress.weight"][:2]
    return WarpingConfig(
        keypoints=shapes[f"{dense}.mask.weight"][0] - 1,
        volume_channels=volume_channels,
        volume_depth=shapes["third.conv.weight"][1] // volume_channels,
        features=shapes["fourth.weight"][0],
        compressed_channels=compressed,
        hourglass_channels=shapes[
            f"{hourglass}.decoder.up_blocks.{blocks - 1}.conv.weight"
        ][0],
        hourglass_max_channels=shapes[
            f"{hourglass}.encoder.down_blocks.{blocks - 1}.conv.weight"
        ][0],
        hourglass_blocks=blocks,
    )


def generator(shapes: TensorShapes) -> GeneratorConfig:
    image_channels, output_channels = shapes["conv_img.0.weight"][:2]
    return GeneratorConfig(
        features=shapes["fc.weight"][1],
        hidden=shapes["up_0.norm_0.mlp_shared.0.weight"][0],
        output_channels=output_channels,
        upscale=round((image_channels / 3) ** 0.5),
    )


def stitching(shapes: TensorShapes) -> StitchingConfig:
    layers = [
        shapes[f"mlp.{2 * i}.weight"] for i in range(max(1, shapes.count("mlp.{i}")))
    ]
    return StitchingConfig(
        layers[0][1], tuple(layer[0] for layer in layers[:-1]), layers[-1][0]
    )


def flow_transformer(shapes: TensorShapes) -> FlowTransformerConfig:
    width, motion_width = shapes["latent_proj.0.weight"][:2]
    return FlowTransformerConfig(
        motion_width=motion_width,
        audio_width=shapes["aud_cond_proj.0.weight"][1],
        width=width,
        heads=width // shapes["fused_blocks.0.attn.q_norm.weight"][0],
        joint_blocks=shapes.count("joint_blocks.{i}"),
        fused_blocks=shapes.count("fused_blocks.{i}"),
    )


def whisper(shapes: TensorShapes, heads: int | None = None) -> WhisperConfig:
    """The file's own dimensions name the heads, which no shape shows; published models
    have 64 values a head."""
    width, mel_bins, _ = shapes["encoder.conv1.weight"]
    return WhisperConfig(
        mel_bins=mel_bins,
        context=shapes["encoder.positional_embedding"][0],
        width=width,
        heads=heads or width // 64,
        layers=shapes.count("encoder.blocks.{i}"),
    )


def perceptual(shapes: TensorShapes) -> VGGConfig:
    first, second, third, fourth, fifth = (
        shapes[f"features.{i}.weight"][0] for i in (0, 5, 10, 19, 28)
    )
    return VGGConfig((first, second, third, fourth, fifth))


READERS: dict[str, Callable[..., Any]] = {
    "appearance": appearance,
    "motion": motion,
    "warping": warping,
    "generator": generator,
    "stitching": stitching,
    "lip_retargeting": stitching,
    "eye_retargeting": stitching,
    "whisper": whisper,
    "flow_transformer": flow_transformer,
    "perceptual": perceptual,
}
"""Part -> reader of its size."""
