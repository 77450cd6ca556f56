"""LivePortrait's templates, in the keys of both versions."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jaxportrait.motion.rotation import matrices_of
from jaxportrait.motion.template import TemplateError, read_template

FRAMES = 3


def draw_template(*, older: bool = False, openness: bool = True) -> dict:
    """Draw a template as LivePortrait writes it; `older` has the keys of before."""
    random = np.random.default_rng(0)
    rotations = matrices_of(random.uniform(-20, 20, (FRAMES, 3)))
    motion = []
    for rotation in rotations:
        # As published, each array has a first axis of 1.
        frame = {
            "scale": random.uniform(1, 2, (1, 1)).astype(np.float32),
            "R_d" if older else "R": rotation[None],
            "exp": random.normal(0, 0.01, (1, 21, 3)).astype(np.float32),
            "t": random.normal(0, 0.1, (1, 3)).astype(np.float32),
        }
        motion.append(frame)
    template = {"n_frames": FRAMES, "output_fps": 24, "motion": motion}
    if openness:
        infix = "d_" if older else ""
        eyes = [np.full((1, 2), 0.3, np.float32) for _ in motion]
        lips = [np.full((1, 1), 0.1, np.float32) for _ in motion]
        template[f"c_{infix}eyes_lst"] = eyes
        template[f"c_{infix}lip_lst"] = lips
    return template


def write(path, content) -> str:
    path.write_bytes(pickle.dumps(content))
    return str(path)


@pytest.mark.parametrize("older", [False, True])
def test_both_formats_are_read(tmp_path, older):
    template = draw_template(older=older)
    clip = read_template(write(tmp_path / "a.pkl", template))
    assert (len(clip), clip.fps) == (FRAMES, 24)
    expected = [frame["exp"][0] for frame in template["motion"]]
    assert_array_equal(clip.expression, expected)
    key = "R_d" if older else "R"
    assert_array_equal(clip.rotation[2], template["motion"][2][key][0])
    assert clip.eyes.shape == (FRAMES, 2)
    assert clip.lips.shape == (FRAMES, 1)


def test_openness_and_rate_may_be_missing(tmp_path):
    template = draw_template(openness=False)
    del template["output_fps"]
    clip = read_template(write(tmp_path / "a.pkl", template))
    assert clip.fps == 25
    assert clip.eyes is None
    assert clip.lips is None


def damage(name: str) -> object:
    template = draw_template()
    frame = template["motion"][1]
    match name:
        case "no motion":
            return {"n_frames": 3}
        case "a frame that is none":
            template["motion"][1] = 5
        case "a missing field":
            del frame["t"]
        case "another shape":
            frame["exp"] = frame["exp"][:, :20]
        case "not finite":
            frame["scale"][:] = np.nan
        case "not a rotation":
            frame["R"] = 2 * frame["R"]
        case "fewer eyes":
            template["c_eyes_lst"].pop()
        case "no rate":
            template["output_fps"] = 0
        case "a rate beyond floats":
            template["output_fps"] = 10**400
        case "a number beyond floats":
            frame["t"] = [[0, 10**400, 0]]
    return template


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no motion", 'it has no list "motion"'),
        ("a frame that is none", "frame 1 is no dictionary"),
        ("a missing field", "frame 1 has no 't'"),
        ("another shape", r"expression of frame 1 has the shape \(1, 20, 3\)"),
        ("not finite", "scale of frame 1 is not finite"),
        ("not a rotation", "the rotation of frame 1 is none"),
        ("fewer eyes", "3 frames, and another number of eyes"),
        ("no rate", "0.0 frames a second"),
        ("a rate beyond floats", "too large"),
        ("a number beyond floats", "translation of frame 1 is not of numbers"),
    ],
)
def test_damaged_templates_are_refused(tmp_path, name, message):
    path = write(tmp_path / "bad.pkl", damage(name))
    with pytest.raises(TemplateError, match=message):
        read_template(path)


def test_a_template_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no template at .*none\.pkl"):
        read_template(tmp_path / "none.pkl")
