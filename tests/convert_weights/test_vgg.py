"""VGG-19: torchvision's file converts, without any other, to the same features."""

from pathlib import Path

import numpy as np
import pytest
import torch

from convert_weights.bundle import convert_files
from convert_weights.convert import ConversionError
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.models.vgg import VGGConfig
from tests.closeness import assert_close
from tests.convert_weights.test_main import run  # noqa: F401
from tests.models.networks import program

BOUND = 1e-5
WIDTHS = (
    4,
    4,
    "pool",
    6,
    6,
    "pool",
    8,
    8,
    8,
    8,
    "pool",
    10,
    10,
    10,
    10,
    "pool",
    12,
    12,
    12,
    12,
    "pool",
)
# Pooling and ReLU count as layers, too.
COMPARED = (1, 6, 11, 20, 29)
"""Layers whose outputs are relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def features() -> torch.nn.Sequential:
    """The layers of torchvision's `vgg19().features`, narrower, with random weights."""
    torch.manual_seed(0)
    layers, inputs = [], 3
    for width in WIDTHS:
        if isinstance(width, str):
            layers.append(torch.nn.MaxPool2d(2, 2))
            continue
        layers += [torch.nn.Conv2d(inputs, width, 3, padding=1), torch.nn.ReLU()]
        torch.nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
        inputs = width
    return torch.nn.Sequential(*layers)


@pytest.fixture
def file(features, tmp_path) -> Path:
    # The real file holds it as well; it must be left behind.
    classifier = {
        "classifier.0.weight": torch.randn(5, 12),
        "classifier.0.bias": torch.randn(5),
    }
    convolutions = {
        f"features.{name}": tensor for name, tensor in features.state_dict().items()
    }
    torch.save(convolutions | classifier, tmp_path / "vgg.pth")
    return tmp_path / "vgg.pth"


def features_of(layers: torch.nn.Sequential, image: np.ndarray) -> list[np.ndarray]:
    """Return the layers' outputs for pictures from 0 to 1, channels last, as torchvision's
    recipe normalises them."""
    normalised = (image - np.float32(MEAN)) / np.float32(DEVIATION)
    x, maps = torch.from_numpy(normalised).movedim(-1, 1), []
    with torch.no_grad():
        for i, layer in enumerate(layers):
            x = layer(x)
            if i in COMPARED:
                maps.append(x.movedim(1, -1).numpy())
    return maps


def test_torchvisions_file_alone_gives_the_same_features(run, file, features):  # noqa: F811
    status, out, err = run("--vgg", file, "--output", "vgg")
    assert status == 0, err
    checkpoint = open_checkpoint("vgg")
    assert list(checkpoint.parts) == ["perceptual"]
    assert checkpoint.sizes("perceptual") == VGGConfig((4, 6, 8, 10, 12))
    # The table wraps its cells.
    printed = " ".join(out.split())
    assert "6 tensors: after" in printed
    assert "2 tensors: the" in printed
    image = np.random.default_rng(0).random((2, 36, 44, 3), np.float32)
    ours = program(checkpoint.network("perceptual"), [image])
    for features_of_layer, reference in zip(
        ours, features_of(features, image), strict=True
    ):
        assert_close(features_of_layer, reference, BOUND)


def test_a_shallower_vgg_is_named_with_its_misfits(file, tmp_path):
    tensors = torch.load(file, weights_only=True)
    # VGG-16 has one convolution fewer in this stage.
    tensors["features.17.weight"], tensors["features.17.bias"] = (
        tensors.pop(f"features.16.{leaf}") for leaf in ("weight", "bias")
    )
    torch.save(tensors, tmp_path / "vgg16.pth")
    with pytest.raises(ConversionError, match=r"vgg16\.pth does not fit") as caught:
        convert_files({"perceptual": tmp_path / "vgg16.pth"})
    assert "features.17.weight (8, 8, 3, 3) is matched by no row" in str(caught.value)
    assert "row 'features.16' of the key map matches no tensor" in str(caught.value)
