"""The JSON of a checkpoint: strict, and format 1 as format 2."""

import json
from dataclasses import replace

import pytest

from jaxportrait.checkpoint import CheckpointError, Crop
from jaxportrait.checkpoint.description import (
    Description,
    FileRecord,
    decode,
    encode,
    upgrade,
)
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import NETWORKS, kind_of
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.motion.space import KeypointGroups
from tests.checkpoint.contents import CONTENTS, TRANSFORMER

# Every field is filled, and two drivers share a kind.
DESCRIPTION = Description(
    CONTENTS.crop,
    {**CONTENTS.parts, "sound": LogMelConfig(4)},
    {"speech": FlowDriverConfig("sound"), "song": FlowDriverConfig("sound", fps=25.0)},
    KeypointGroups(brows=(1, 3)),
    {"graph.onnx": FileRecord(10, "ab")},
    {"stitching": {"layers.0.bias": "cd"}},
)


def test_a_description_survives_json():
    # Through text, which turns tuples into lists.
    assert decode(json.loads(json.dumps(encode(DESCRIPTION)))) == DESCRIPTION


def test_every_network_has_a_config_of_its_own():
    configs = [row.config for row in NETWORKS.values()]
    assert len(set(configs)) == len(configs)
    with pytest.raises(TypeError, match="int is the config of no registered network"):
        kind_of(3)


def test_optional_blocks_may_be_missing():
    assert decode({"format": 2}) == Description()


def changed(path: tuple[str, ...], value: object) -> dict:
    """Return the JSON of `DESCRIPTION` with one value replaced, or added."""
    # A deep copy.
    values = json.loads(json.dumps(encode(DESCRIPTION)))
    block = values
    for name in path[:-1]:
        block = block[name]
    block[path[-1]] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("color",), 1, "the config has no field color"),
        (("crop", "color"), 1, r"crop has no field color \(it has: image_size, zoom"),
        (
            ("crop", "image_size"),
            "64",
            r"crop: Expected `int`, got `str`.*image_size is '64'",
        ),
        (("crop", "zoom"), 0, "crop: zoom is 0.0: it must be from 0.1"),
        (("crop",), [], r"crop is \[\]: expected fields by name"),
        (("parts", "sound", "kind"), "harp", "part sound is of kind harp.*whisper"),
        (("parts", "sound", "kind"), ["whisper"], r"is of kind \['whisper'\]"),
        (("parts", "sound", "mel_bins"), 0, "part sound: mel_bins is 0: it must"),
        (("parts", "sound", "width"), 8, "part sound has no field width"),
        (("parts", "sound"), None, "part sound is None"),
        (("parts", "stitching", "hidden"), [1.5], "part stitching: Expected `int`"),
        (("drivers", "speech", "kind"), "jazz", "driver speech is of kind jazz.*flow"),
        (("drivers", "speech", "space"), "hair", "no motion space 'hair'.*lip, face"),
        (("drivers", "speech", "fps"), -1, "fps is -1.0: it must be from 1 to 240"),
        (("keypoints", "eyes"), [21], "keypoint 21 does not exist"),
        (("files", "graph.onnx", "bytes"), "10", r"file graph\.onnx: Expected `int`"),
        (("sha256", "stitching"), "cd", "sha256: Expected `object`"),
    ],
)
def test_a_wrong_value_is_one_line(path, value, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        decode(changed(path, value))
    assert "\n" not in str(caught.value)


# As version 1 wrote it: absent parts are null, settings stand beside the parts.
PORTRAIT = {
    "image_size": 64,
    "motion": None,
    "eye_retargeting": {"inputs": 66, "hidden": [8], "outputs": 63},
    "log_mel": {"mel_bins": 4},
    "flow_transformer": {
        "motion_width": 18,
        "audio_width": 8,
        "width": 16,
        "heads": 2,
        "joint_blocks": 1,
        "fused_blocks": 1,
        "motion_frames": 30,
        "audio_frames": 50,
        "motion_space": "lip",
    },
    "crop_zoom": 1.5,
    "cfg_scale": 3.0,
    "perceptual": None,
}


def test_format_1_is_upgraded():
    arrays = {"mean": 0, "std": 1}
    values, statistics = upgrade({"format": 1, "portrait": PORTRAIT}, arrays)
    assert statistics == {"flow": arrays}
    description = decode(values)
    assert description.crop == Crop(64, 1.5, None)
    assert description.parts == {
        "eye_retargeting": StitchingConfig(66, (8,), 63),
        "log_mel": LogMelConfig(4),
        "flow_transformer": TRANSFORMER,
    }
    driver = FlowDriverConfig("log_mel", cfg_scale=3.0)
    assert description.drivers == {"flow": driver}
    # Format 1 had no groups.
    assert description.keypoints == KeypointGroups(
        eyes=(2, 11, 13, 15, 16, 18), brows=(1, 3)
    )


def test_format_1_may_name_the_detector_of_its_crops():
    portrait = {**PORTRAIT, "crop_detector": "haar"}
    values, _ = upgrade({"format": 1, "portrait": portrait}, {"mean": 0, "std": 1})
    assert decode(values).crop == Crop(64, 1.5, "haar")


def test_format_1_without_a_transformer_has_no_driver():
    vgg = {"perceptual": {"widths": [1, 2, 3, 4, 5]}, "cfg_scale": 3.0}
    values, statistics = upgrade({"format": 1, "portrait": vgg}, {"mean": 0, "std": 1})
    assert statistics == {}
    assert decode(values).drivers == {}
    assert kind_of(decode(values).parts["perceptual"]) == "vgg"


def test_format_1_has_defaults():
    parts = {"flow_transformer": {**PORTRAIT["flow_transformer"]}}
    # A field that may be absent.
    del parts["flow_transformer"]["motion_space"]
    description = decode(upgrade({"portrait": parts}, {})[0])
    assert description.crop == Crop()
    assert description.drivers == {"flow": FlowDriverConfig()}


def test_an_unknown_field_of_format_1_is_named():
    with pytest.raises(CheckpointError, match="portrait has no field color"):
        upgrade({"portrait": {**PORTRAIT, "color": 3}}, {})
    with pytest.raises(CheckpointError, match="part tail is of kind tail"):
        decode(upgrade({"portrait": {"tail": {"length": 3}}}, {})[0])


def test_a_detector_may_be_unknown():
    unnamed = replace(DESCRIPTION, crop=Crop(64))
    assert decode(encode(unnamed)).crop.detector is None
