"""Ditto's three files: the network, its options, and the graph that encodes sound."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from convert_weights.ditto.options import DittoOptions, read_options
from convert_weights.networks.base import ConversionError
from jaxportrait.checkpoint import CheckpointError
from jaxportrait.features.chunks import Cutting
from jaxportrait.features.onnx import OnnxEncoder, check_encoder
from jaxportrait.models.character import CharacterConfig

REPOSITORY = "digital-avatar/ditto-talkinghead"
FOLDER = "ditto"
"""Folder of Ditto's files within that of LivePortrait's."""
MODEL_FILE = "ditto_pytorch/models/lmdm_v0.4_hubert.pth"
HUBERT_FILE = "ditto_pytorch/aux_models/hubert_streaming_fix_kv.onnx"
OPTIONS_FILE = "ditto_cfg/v0.4_hubert_cfg_trt_online.pkl"
"""Published paths. Of the files of options, this is the one whose contents are known."""
RENDERER_FILES = {
    "appearance": "ditto_pytorch/models/appearance_extractor.pth",
    "motion": "ditto_pytorch/models/motion_extractor.pth",
    "warping": "ditto_pytorch/models/warp_network.pth",
    "generator": "ditto_pytorch/models/decoder.pth",
}
"""Part -> Ditto's copy of LivePortrait's network, with the same names of tensors."""
STITCHING_FILE = "ditto_pytorch/models/stitch_network.pth"
"""LivePortrait's stitching network, without those of eyes and lips."""


@dataclass(frozen=True)
class DittoFiles:
    """Ditto's files.

    Attributes:
      model: `lmdm_v0.4_hubert.pth`.
      options: a file of `ditto_cfg`.
      hubert: `hubert_streaming_fix_kv.onnx`.
    """

    model: Path
    options: Path
    hubert: Path


class CharacterPart(NamedTuple):
    """A character as a part of a checkpoint."""

    config: CharacterConfig
    leaves: dict[str, np.ndarray]


def read_character(path: Path) -> CharacterPart:
    """Return the character of a file of options.

    Raises:
      ConversionError: the file is refused, or holds no character, blink or limits.
    """
    # Without any of the three, the published driver is another one.
    options = read_options(path)
    missing = _missing(options)
    if options.character is None or options.blink is None or options.limits is None:
        raise ConversionError(
            f"{path} holds no {missing}: use v0.4_hubert_cfg_trt_online.pkl"
        )
    face = options.character.face
    leaves = {
        "openness": face.openness,
        "eyeballs": face.eyeballs,
        "keypoints": face.keypoints,
        "emotions": options.emotions,
        "reference": options.character.reference,
        "scale": np.array([options.character.scale], np.float32),
        "blink": options.blink,
        "limits": options.limits,
    }
    # Lengths are read off the arrays.
    config = CharacterConfig(
        len(face.openness), len(options.emotions), len(options.blink)
    )
    return CharacterPart(config, leaves)


def check_hubert(path: Path) -> Path:
    """Return the file itself, after a chunk of silence has run through the graph.

    Raises:
      ConversionError: the graph is not what Ditto publishes.
    """
    if not path.is_file():
        raise ConversionError(f"no file {path}")
    try:
        check_encoder(OnnxEncoder(path), Cutting())
    except CheckpointError as error:
        raise ConversionError(str(error)) from error
    # A link into a cache is copied as the file that it points to.
    return path.resolve()


def _missing(options: DittoOptions) -> str:
    names = {
        "ch_info": options.character,
        "delta_eye_arr": options.blink,
        "v_min_max_for_clip": options.limits,
    }
    return ", ".join(name for name, value in names.items() if value is None)
