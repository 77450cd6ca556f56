"""Ditto's options: a pickle of dictionaries and arrays, in every spelling that NumPy has
used, and files that are refused."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert_weights.convert import ConversionError
from convert_weights.ditto.options import read_options
from jaxportrait.drivers.ditto_condition import emotion_weights
from tests.arrays import draw

SPELLINGS = (b"numpy.core", b"numpy._core")


def content() -> dict[str, Any]:
    """Return options in the published layout."""
    frame = {
        "scale": np.full((1, 1), 1.3, np.float32),
        "t": draw(1, 3, seed=1),
        "exp": draw(1, 63, seed=2),
        "kp": draw(1, 63, seed=3),
    }
    for seed, angle in enumerate(("pitch", "yaw", "roll")):
        frame[angle] = draw(1, 66, seed=seed)
    character = {
        "x_s_info_lst": [frame],
        "sc": draw(63, seed=4),
        "eye_open_lst": [draw(1, 2, seed=5), draw(1, 2, seed=6)],
        "eye_ball_lst": [draw(1, 6, seed=7), draw(1, 6, seed=8)],
    }
    limits = np.stack([np.full(265, value) for value in (-1.0, 1.0, 0.0, 1.0)])
    return {
        "base_cfg": {"hubert_cfg": {"model_path": "hubert.onnx", "device": "cuda"}},
        "audio2motion_cfg": {"seq_frames": 80, "use_emo": True},
        "default_kwargs": {
            "online_mode": True,
            "emo": np.tile(emotion_weights(4), (6, 1)),
            "ch_info": character,
            "overlap_v2": 70,
            "sampling_timesteps": 10,
            "v_min_max_for_clip": limits,
            "delta_eye_arr": draw(15, 63, seed=9),
            "fade_out_keys": ["exp"],
            "overall_ctrl_info": {"delta_pitch": 2},
        },
    }


def write(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def spell(data: bytes, spelling: bytes) -> bytes:
    """Return a pickle whose modules of NumPy have this spelling.

    Protocol 4 counts the letters of a name, so that both must be changed.
    """
    ours, other = b"numpy._core", b"numpy.core"
    assert ours in data
    if spelling == ours:
        return data
    for module in (b".multiarray", b".numeric"):
        long, short = ours + module, other + module
        counted = bytes([0x8C, len(long)]) + long
        data = data.replace(counted, bytes([0x8C, len(short)]) + short)
        # Protocol 2 has lines.
        data = data.replace(b"c" + long + b"\n", b"c" + short + b"\n")
    return data


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_protocol_and_spelling_is_read(tmp_path, protocol, spelling):
    value = content()
    data = pickle.dumps(value, protocol)
    # A frame counts its bytes, which a shorter name changes.
    data = spell(unframed(value, protocol) if protocol > 3 else data, spelling)
    path = tmp_path / "options.pkl"
    path.write_bytes(data)
    options = read_options(path)
    defaults = value["default_kwargs"]
    assert (options.live, options.steps, options.overlap) == (True, 10, 70)
    np.testing.assert_array_equal(options.emotions, defaults["emo"])
    np.testing.assert_array_equal(options.blink, defaults["delta_eye_arr"])
    np.testing.assert_array_equal(options.limits, defaults["v_min_max_for_clip"][:2])
    character = options.character
    assert character is not None
    assert character.face.openness.shape == (2, 2)
    np.testing.assert_array_equal(character.face.keypoints, defaults["ch_info"]["sc"])
    frame = defaults["ch_info"]["x_s_info_lst"][0]
    np.testing.assert_array_equal(character.reference[1:67], frame["pitch"][0])
    np.testing.assert_array_equal(character.reference[202:], frame["exp"][0])
    np.testing.assert_allclose(character.reference[0], 0.3, rtol=1e-5)


def unframed(value: Any, protocol: int) -> bytes:
    """Return a pickle without frames, as pickles of several parts are."""
    data = pickle.dumps(value, protocol)
    # Protocol, then FRAME and eight bytes of its length.
    assert data[2] == 0x95
    length = int.from_bytes(data[3:11], "little")
    assert len(data) == 11 + length, "one frame"
    return data[:2] + data[11:]


def test_a_file_without_a_character_has_none(tmp_path):
    value = content()
    value["default_kwargs"] = {"emo": 3}
    options = read_options(write(tmp_path / "a.pkl", value))
    assert options.character is options.blink is options.limits is None
    np.testing.assert_array_equal(options.emotions, emotion_weights(3)[None])
    assert (options.live, options.steps, options.overlap) == (False, 50, 10)


class Malice:
    """An object whose pickle calls a function."""

    def __init__(self, *call: Any):
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    "call",
    [
        (os.system, "touch {}"),
        (eval, "open({!r}, 'w')"),
        (open, "{}", "w"),
    ],
)
def test_a_pickle_that_would_run_code_is_refused(tmp_path, call, protocol):
    mark = tmp_path / "mark"
    function, text, *rest = call
    value = content()
    value["default_kwargs"]["emo"] = Malice(function, text.format(str(mark)), *rest)
    path = write(tmp_path / "a.pkl", value, protocol)
    with pytest.raises(ConversionError, match="is refused: it names"):
        read_options(path)
    assert not mark.exists()


def test_an_array_of_objects_is_refused(tmp_path):
    value = content()
    value["default_kwargs"]["emo"] = np.array([[None] * 8], object)
    with pytest.raises(ConversionError, match="is refused: it holds an array of 'O8'"):
        read_options(write(tmp_path / "a.pkl", value))


def change(**values: Any):
    return lambda content: content["default_kwargs"].update(values)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda value: value.clear(), "no dictionary audio2motion_cfg"),
        (lambda value: value.pop("default_kwargs"), "no dictionary default_kwargs"),
        (
            lambda value: value["audio2motion_cfg"].update(use_sc=False),
            r"audio2motion_cfg\['use_sc'\] is False",
        ),
        (change(emo=9), "emo is 9: expected a label or rows of 8"),
        (change(emo=np.zeros((2, 7))), r"emo has the shape \(2, 7\)"),
        (
            change(v_min_max_for_clip=np.zeros((1, 265))),
            "expected them in rows 0 and 1",
        ),
        (change(delta_eye_arr=np.full((2, 63), np.nan)), "delta_eye_arr .* not finite"),
        (change(sampling_timesteps=0), "sampling_timesteps is 0"),
        (change(ch_info={"sc": 1}), "ch_info has no list x_s_info_lst"),
        (
            lambda value: value["default_kwargs"]["ch_info"].update(sc=np.zeros(62)),
            r"sc has the shape \(1, 62\): expected rows of 63",
        ),
        (
            lambda value: value["default_kwargs"]["ch_info"]["eye_open_lst"].pop(),
            "1 frames of eye_open_lst and 2 of eye_ball_lst",
        ),
    ],
)
def test_values_that_do_not_fit_are_named(tmp_path, edit, message):
    value = content()
    edit(value)
    path = write(tmp_path / "a.pkl", value)
    with pytest.raises(ConversionError, match=message) as error:
        read_options(path)
    assert str(path) in str(error.value)


def test_files_that_are_no_pickles_are_refused(tmp_path):
    with pytest.raises(ConversionError, match="no file"):
        read_options(tmp_path / "none.pkl")
    path = tmp_path / "a.pkl"
    path.write_bytes(b"no pickle")
    with pytest.raises(ConversionError, match="it is no pickle, or damaged"):
        read_options(path)
