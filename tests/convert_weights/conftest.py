"""The recipe's small checkpoints as published files, written and converted once."""

from pathlib import Path

import pytest
import torch

from convert_weights.bundle import Converted, convert_files
from convert_weights.recipe import (
    STATISTICS_FILE,
    Recipe,
    stitching_entries,
    write_checkpoints,
)
from convert_weights.sources import STITCHING_FILE


@pytest.fixture(scope="session")
def recipe(golden) -> Recipe:
    return Recipe(golden)


@pytest.fixture(scope="session")
def published(recipe, tmp_path_factory) -> Path:
    """A folder in the published layout: small networks, and the stitching MLPs, which
    have one size."""
    folder = tmp_path_factory.mktemp("published")
    write_checkpoints(recipe, "small", folder)
    # As a data-parallel training run saves them.
    entries = {
        entry: {
            f"module.{key}": torch.from_numpy(value) for key, value in tensors.items()
        }
        for entry, tensors in stitching_entries(recipe, "full").items()
    }
    (folder / STITCHING_FILE).parent.mkdir(parents=True)
    torch.save(entries, folder / STITCHING_FILE)
    return folder


@pytest.fixture(scope="session")
def files(published) -> dict[str, Path]:
    """Part -> its file in that folder."""
    names = {
        "appearance": "liveportrait/base_models/appearance_feature_extractor.pth",
        "warping": "liveportrait/base_models/warping_module.pth",
        "generator": "liveportrait/base_models/spade_generator.pth",
        "stitching_retargeting": "liveportrait/retargeting_models/stitching_retargeting_module.pth",
        "whisper": "audio_processor/tiny.pt",
        "flow_transformer": "checkpoints/checkpoint_30000/model.safetensors",
    }
    return {part: published / name for part, name in names.items()}


@pytest.fixture(scope="session")
def converted(files, published) -> Converted:
    return convert_files(files, published / STATISTICS_FILE)
