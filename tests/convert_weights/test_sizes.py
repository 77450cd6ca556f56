"""Sizes are read off the tensors."""

import json
from pathlib import Path
from typing import Any

import pytest

from convert_weights.convert import ConversionError
from convert_weights.networks import KEY_MAPS
from convert_weights.networks.base import TensorShapes
from convert_weights.sources import PARTS
from jaxportrait.checkpoint import Contents
from jaxportrait.models.parts import NETWORKS
from tests.models.networks import COMPONENTS


def shapes_of(golden: Path, component: str) -> TensorShapes:
    """Return the shapes of a component of the golden recipe."""
    components = json.loads((golden / "manifest.json").read_text())["components"]
    # Whisper has a manifest of its own.
    components |= json.loads((golden / "manifest_whisper.json").read_text())
    tensors = components[component]["tensors"]
    return TensorShapes(
        {key: tuple(lengths) for key, lengths in tensors.items()}, "some.pth"
    )


def read_size(part: str, shapes: TensorShapes, **metadata: int) -> Any:
    return KEY_MAPS[PARTS[part].kind].size(shapes, metadata)


def test_every_network_with_weights_has_a_key_map():
    # A log-mel spectrogram has no weights, and a character is no network.
    assert set(KEY_MAPS) == set(NETWORKS) - {"log_mel", "character"}
    assert {place.kind for place in PARTS.values()} == set(KEY_MAPS)


@pytest.mark.parametrize("part", COMPONENTS)
def test_published_files_have_the_full_preset(part, golden):
    shapes = shapes_of(golden, COMPONENTS[part])
    assert read_size(part, shapes) == Contents.full().parts[part]


def test_small_files_have_their_own_sizes(golden):
    config = read_size("warping", shapes_of(golden, "small/warping_module"))
    assert (config.keypoints, config.volume_depth, config.hourglass_blocks) == (5, 8, 3)
    whisper = shapes_of(golden, "small/whisper")
    assert read_size("whisper", whisper, n_audio_head=2).heads == 2


@pytest.mark.parametrize("part", COMPONENTS)
def test_another_networks_file_is_named(part, golden):
    # Any file but the part's own.
    other = "full/motion_extractor" if part != "motion" else "full/warping_module"
    message = r"some\.pth has no tensor .*another network's file"
    with pytest.raises(ConversionError, match=message):
        read_size(part, shapes_of(golden, other))


@pytest.mark.parametrize("part", COMPONENTS)
def test_an_empty_file_is_named(part):
    with pytest.raises(ConversionError, match=r"some\.pth has no tensor"):
        read_size(part, TensorShapes({}, "some.pth"))
