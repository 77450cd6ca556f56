"""Drawn people show what their truth says."""

import numpy as np

from jaxportrait.media.faces import open_detector
from tests.train.synthetic.inputs import luminance
from train.synthetic.camera import Pose
from train.synthetic.eyes import EyeState
from train.synthetic.landmarks import GROUPS, landmarks
from train.synthetic.mouth import MouthState
from train.synthetic.scene import Moment, Scene

REST = Moment()
BLINK = Moment(eyes=EyeState(blink=1.0))
OPEN_MOUTH = Moment(
    pose=Pose((-3.0, 12.0, 4.0)),
    mouth=MouthState(jaw=1.0),
)
TURNED = Moment(
    pose=Pose((0.0, 20.0, 0.0)),
)
YAWS = (-12.0, -4.0, 4.0, 12.0)
"""Degrees by which four people turn."""


def group(scene: Scene, moment: Moment, name: str) -> np.ndarray:
    """Return the landmarks of a feature, in pixels.

    Args:
      name: name in `GROUPS`.
    """
    return landmarks(scene, moment)[GROUPS[name]]


def light_at(picture: np.ndarray, point: np.ndarray, below: int) -> float:
    """Return the light some pixels below a point."""
    x, y = np.rint(point).astype(int)
    return picture[y + below, x]


def test_haar_finds_drawn_faces_and_their_eyes_agree_with_the_truth(scenes):
    detector = open_detector("haar")
    for scene, yaw in zip(scenes, YAWS, strict=True):
        moment = Moment(
            pose=Pose((3.0, yaw, 2.0)),
            mouth=MouthState(jaw=0.4),
        )
        (face,) = detector.find(scene.draw(moment))
        assert face.eyes is not None
        # The center of the lids stands for the eye.
        left = group(scene, moment, "eye_left").mean(axis=0)
        right = group(scene, moment, "eye_right").mean(axis=0)
        distances = np.linalg.norm(face.eyes - np.stack([left, right]), axis=1)
        assert distances.max() < 0.04 * scene.size


def test_lip_landmarks_lie_on_lips_and_around_the_throat(scenes):
    scene = scenes[0]
    picture = luminance(scene.draw(OPEN_MOUTH))
    outer = group(scene, OPEN_MOUTH, "lips_outer")
    inner = group(scene, OPEN_MOUTH, "lips_inner")
    # Light three pixels below the lower lip's middle, and two below the mouth's.
    lip = light_at(picture, outer[9], below=3)
    throat = light_at(picture, inner.mean(axis=0), below=2)
    assert throat < 0.6 * lip


def test_iris_landmarks_lie_on_dark_pixels(scenes):
    scene = scenes[0]
    picture = luminance(scene.draw(OPEN_MOUTH))
    for name in ("iris_left", "iris_right"):
        center = group(scene, OPEN_MOUTH, name)[0]
        x, y = np.rint(center).astype(int)
        around = picture[y - 1 : y + 2, x - 1 : x + 2]
        assert around.min() < 60


def test_features_shift_in_parallax_as_the_head_turns(scenes):
    before = landmarks(scenes[1], REST)
    after = landmarks(scenes[1], TURNED)
    shift = (after - before)[:, 0]
    nose = shift[GROUPS["nose_ridge"]][3]
    eye = shift[GROUPS["eye_left"]].mean()
    jaw = shift[0]
    # The nearer to the viewer, the farther.
    assert nose > eye + 2
    assert eye + 2 > jaw + 4


def test_a_blink_changes_the_eyes_only(scenes):
    scene = scenes[2]
    rest = luminance(scene.draw(REST))
    shut = luminance(scene.draw(BLINK))
    change = np.abs(shut - rest)
    eyes = int(group(scene, REST, "eye_left")[:, 1].mean())
    mouth = int(group(scene, REST, "lips_outer")[:, 1].min())
    assert change[eyes - 8 : eyes + 8].max() > 60
    assert change[mouth:].max() == 0
