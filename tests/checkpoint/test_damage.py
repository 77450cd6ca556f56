"""Checkpoints that lie or are damaged: each is one clear line, or reads as it was."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    open_checkpoint,
    save_checkpoint,
    write,
)
from tests.checkpoint.contents import CONTENTS


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def change_config(checkpoint: Path, path: tuple, value: object) -> None:
    """Replace one value of the checkpoint's JSON."""
    metadata = checkpoint / "config" / "metadata"
    values = json.loads(metadata.read_text())
    block = values
    for name in path[:-1]:
        block = block[name]
    block[path[-1]] = value
    metadata.write_text(json.dumps(values))


TRANSFORMER_PATH = ("parts", "flow_transformer")
DRIVER_PATH = ("drivers", "flow")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("crop",), None, "crop is None: expected fields by name"),
        (("crop", "image_size"), 0, "crop: image_size is 0: it must be from 32 to"),
        (("crop", "image_size"), 10**6, "crop: image_size is 1000000: it must be from"),
        (("crop", "image_size"), "64", "got `str`.*image_size is '64'"),
        (("crop", "image_size"), 66, "image_size is 66, and its networks halve it 2"),
        (("crop", "zoom"), 0, "crop: zoom is 0"),
        (("crop", "zoom"), -1, "crop: zoom is -1"),
        (("crop", "zoom"), math.nan, "crop: zoom is nan: it must be from 0.1 to 10"),
        (("parts",), [], r"parts is \[\]: expected fields by name"),
        (("parts", "appearance"), "F", "part appearance is 'F': expected fields"),
        (("parts", "appearance", "kind"), "vgg", "part appearance has no field base"),
        (("parts", "appearance", "base_channels"), 16, "appearance: .*shape .*, and"),
        (("parts", "appearance", "residual_blocks"), 3, "part appearance has no array"),
        (
            ("parts", "appearance", "residual_blocks"),
            1,
            "appearance has an array resid",
        ),
        (("parts", "appearance", "max_channels"), 10**9, "from 1 to 65536"),
        (("parts", "appearance", "down_blocks"), -3, "down_blocks is -3"),
        (("parts", "stitching", "hidden"), [128, 64], "stitching has an array layers"),
        (("parts", "stitching", "inputs"), 63, "turns 63 values into 65: it must turn"),
        ((*TRANSFORMER_PATH, "heads"), 0, "heads is 0: it must be from 1 to 1024"),
        ((*TRANSFORMER_PATH, "heads"), 7, "heads is 7: it must divide the width, 16"),
        # Rotary positions turn values in pairs.
        ((*TRANSFORMER_PATH, "heads"), 16, "a head has 1 values, .* must be even"),
        (
            (*TRANSFORMER_PATH, "heads"),
            4,
            r"qkv.* shape \(.*, and its sizes need",
        ),
        ((*TRANSFORMER_PATH, "width"), 32, "stored with shape"),
        ((*TRANSFORMER_PATH, "motion_width"), 70, "makes 70 values a frame"),
        ((*TRANSFORMER_PATH, "motion_frames"), 1, "motion_frames is 1: it must be fr"),
        ((*DRIVER_PATH, "cfg_scale"), math.nan, "cfg_scale is nan: it must be from -1"),
        ((*DRIVER_PATH, "cfg_scale"), 1e308, r"cfg_scale is 1e\+308"),
        ((*DRIVER_PATH, "fps"), math.inf, "fps is inf"),
        ((*DRIVER_PATH, "space"), "hair", "no motion space 'hair'"),
        ((*DRIVER_PATH, "features"), "stitching", "stitching, which encodes no sound"),
        (("keypoints", "lips"), [21], "keypoint 21 does not exist"),
    ],
)
def test_a_config_that_cannot_be_is_one_line(copy, path, value, message):
    change_config(copy, path, value)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(copy)
    assert "\n" not in str(caught.value)


# Nested too deeply, twice; empty; cut off; a null byte.
@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": 2, "parts": ' + '{"a": ' * 9_000, "", "{", "\0"]
)
def test_a_config_that_is_no_json_is_one_line(copy, text):
    (copy / "config" / "metadata").write_text(text)
    with pytest.raises(CheckpointError, match=r"damaged: its config cannot be read"):
        open_checkpoint(copy)


def test_a_missing_file_is_one_line_or_not_needed(copy):
    expected = read_all(copy)
    refused = []
    for file in files_below(copy):
        content = file.read_bytes()
        file.unlink()
        if refuses(copy, expected):
            refused.append(file.name)
        file.write_bytes(content)
    # The JSON of config, and of what is stored in params and statistics.
    assert {"metadata", "_METADATA", "manifest.ocdbt"} <= set(refused)
    assert len(refused) >= 7


def read_all(path: Path) -> dict[str, np.ndarray]:
    """Return every array of a checkpoint."""
    checkpoint = open_checkpoint(path)
    arrays = {}
    for part in checkpoint.parts:
        arrays |= checkpoint.leaves(part)
    for driver in checkpoint.drivers.values():
        assert driver.statistics is not None
        arrays |= {"mean": driver.statistics.mean, "std": driver.statistics.std}
    return arrays


def refuses(path: Path, expected: dict[str, np.ndarray]) -> bool:
    """Return whether a checkpoint is refused, in one line; else it must be as expected."""
    try:
        arrays = read_all(path)
    except CheckpointError as error:
        return "\n" not in str(error)
    np.testing.assert_equal(arrays, expected)
    return False


@pytest.mark.parametrize("item", ["params", "statistics"])
def test_a_flipped_bit_is_told_or_changes_nothing(copy, item):
    expected = read_all(copy)
    random = np.random.default_rng(0)
    refusals = 0
    for file in files_below(copy / item):
        content = bytearray(file.read_bytes())
        place = random.integers(len(content))
        content[place] ^= 1 << random.integers(8)
        intact = file.read_bytes()
        file.write_bytes(content)
        refusals += refuses(copy, expected)
        file.write_bytes(intact)
    # Flips in bytes that nobody reads are harmless; not all are.
    assert refusals > 0


def test_weights_that_are_not_finite_are_named(tmp_path, params, monkeypatch):
    contents = Contents(parts={"stitching": CONTENTS.parts["stitching"]})
    leaves = dict(params["stitching"])
    leaves["layers.0.bias"] = np.full(128, np.nan, np.float32)
    with pytest.raises(CheckpointError, match=r"stitching has values .* not finite in"):
        save_checkpoint(tmp_path / "new", contents, {"stitching": leaves})
    assert not any(tmp_path.iterdir())
    # As a version that did not check wrote it.
    monkeypatch.setattr(write, "check_finite", lambda part, leaves: None)
    save_checkpoint(tmp_path / "old", contents, {"stitching": leaves})
    message = (
        r"old is damaged, layers\.0\.bias of its stitching has values that are not"
    )
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path / "old").leaves("stitching")
