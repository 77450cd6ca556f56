"""Sizes are read off the tensors."""

import json

import pytest

from convert_weights import sizes
from convert_weights.convert import ConversionError
from jaxportrait.checkpoint import Contents
from tests.models.test_networks import COMPONENTS


def shapes_of(golden, component: str) -> dict[str, tuple[int, ...]]:
    components = json.loads((golden / "manifest.json").read_text())["components"]
    components |= json.loads((golden / "manifest_whisper.json").read_text())
    return {
        key: tuple(shape) for key, shape in components[component]["tensors"].items()
    }


@pytest.mark.parametrize("part", COMPONENTS)
def test_published_files_have_the_full_preset(part, golden):
    shapes = sizes.TensorShapes(shapes_of(golden, COMPONENTS[part]), "some.pth")
    assert sizes.READERS[part](shapes) == Contents.full().parts[part]


def test_small_files_have_their_own_sizes(golden):
    shapes = sizes.TensorShapes(shapes_of(golden, "small/warping_module"), "some.pth")
    config = sizes.warping(shapes)
    assert (config.keypoints, config.volume_depth, config.hourglass_blocks) == (5, 8, 3)
    heads = sizes.whisper(
        sizes.TensorShapes(shapes_of(golden, "small/whisper"), "some.pt"), heads=2
    ).heads
    assert heads == 2


@pytest.mark.parametrize("part", COMPONENTS)
def test_another_networks_file_is_named(part, golden):
    other = "full/motion_extractor" if part != "motion" else "full/warping_module"
    with pytest.raises(
        ConversionError, match=r"some\.pth has no tensor .*another network's file"
    ):
        sizes.READERS[part](sizes.TensorShapes(shapes_of(golden, other), "some.pth"))


@pytest.mark.parametrize("part", COMPONENTS)
def test_an_empty_file_is_named(part):
    with pytest.raises(ConversionError, match=r"some\.pth has no tensor"):
        sizes.READERS[part](sizes.TensorShapes({}, "some.pth"))
