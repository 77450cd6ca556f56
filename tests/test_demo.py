"""The files of the demo: small, complete, and made again by the command that made
them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from examples.demo_assets import TEXT, draw_portrait, speak_sentence
from jaxportrait import demo
from jaxportrait.animation import Animation, Sampling
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import detect_faces, open_detector
from jaxportrait.media.image import read_image
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_SPACES, POSE, neutral_frames
from jaxportrait.portrait import Portrait
from train.engine.toml import load_config
from train.evaluate.motion.metrics import correlation
from train.prepare.motion.timeline import loudness
from train.renderer.config import RendererConfig
from train.synthetic.espeak import open_library
from train.synthetic.landmarks import COUNT, GROUPS

CONFIG = Path(__file__).parents[1] / "configs" / "demo_renderer.toml"
LARGEST = 12 * 2**20
# Keypoints of the demo are guided by configs/demo_renderer.toml.
INNER_LIPS = (19, 20)
"""Keypoints in the middle of the upper and of the lower one, as
configs/demo_renderer.toml guides them."""
LIDS = ((11, 15), (13, 16))
"""Keypoints in the middle of the upper and of the lower lid, of either eye."""
SAME_PICTURE = 2  # levels of 255, for the rounding of other processors


def test_the_demo_fits_into_the_wheel():
    files = [path for path in demo.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LARGEST
    assert demo.PORTRAIT.stat().st_size < 500_000


def test_the_portrait_is_the_drawing():
    picture = read_image(demo.PORTRAIT)
    assert picture.shape == (512, 512, 3)
    difference = picture.astype(int) - draw_portrait()
    assert np.abs(difference).max() <= SAME_PICTURE


def test_its_face_and_eyes_are_found():
    picture = read_image(demo.PORTRAIT)
    (face,) = detect_faces(picture, open_detector("haar"))
    assert face.eyes is not None
    assert_allclose(face.eyes, [(201, 221), (313, 221)], atol=12)
    assert_allclose(face.hull.center, (256, 290), atol=15)


def test_its_crops_are_found_as_in_training_whatever_is_available():
    checkpoint = open_checkpoint(demo.CHECKPOINT)
    assert checkpoint.crop.detector == "haar"
    assert open_detector(recorded=checkpoint.crop.detector).name == "haar"


@pytest.mark.skipif(open_library() is None, reason="espeak-ng is not installed")
def test_the_sentence_is_the_text():
    speech = speak_sentence()
    audio = Audio.open(demo.SENTENCE)
    sentence = " ".join(TEXT)
    assert speech.text == sentence
    # Versions of espeak-ng differ a little.
    assert audio.duration == pytest.approx(speech.seconds, rel=0.05)
    samples = np.concatenate(list(audio.stream()))
    loudest = np.abs(samples).max()
    expected = np.abs(speech.samples).max()
    assert loudest == pytest.approx(expected, rel=0.2)


@pytest.fixture(scope="module")
def animator() -> Animator:
    return Animator.from_checkpoint(demo.CHECKPOINT)


@pytest.fixture(scope="module")
def portrait(animator: Animator) -> Portrait:
    return animator.prepare(demo.PORTRAIT)


@pytest.fixture(scope="module")
def spoken(animator: Animator, portrait: Portrait) -> Animation:
    return animator.animate(portrait, demo.SENTENCE)


def test_the_checkpoint_says_the_guidance_where_nobody_does(animator: Animator):
    def motion(cfg_scale: float | None = None) -> np.ndarray:
        sampling = Sampling(steps=2, cfg_scale=cfg_scale)
        driver = animator.driver.with_sampling(sampling)
        sound = Audio.open(demo.SENTENCE)
        return driver.make(sound, seed=0, frames=30).to_frames()

    assert animator.driver.guidance == 1.5
    usual = motion()
    assert_array_equal(usual, motion(1.5))
    assert np.abs(usual - motion(4.5)).max() > 1e-3


def test_its_lips_move_with_its_voice(spoken: Animation):
    # y grows downwards: lips that open move apart.
    upper, lower = INNER_LIPS
    heights = spoken.keypoints[..., 1]
    opening = heights[:, lower] - heights[:, upper]
    frames = np.arange(len(opening))
    loud = loudness(spoken.audio.stream(), frames)
    assert correlation(opening, loud) > 0.3
    # Lips do not follow another part of the sentence.
    other = np.roll(loud, len(loud) // 2)
    assert correlation(opening, other) < 0.2


def test_it_blinks(animator: Animator, portrait: Portrait):
    """By every seed once in these five seconds: lids nearly shut, and mostly quite."""
    keypoints = []
    for seed in range(5):
        sampling = Sampling(seed=seed)
        animation = animator.animate(portrait, demo.SENTENCE, sampling=sampling)
        keypoints.append(animation.keypoints)
    heights = np.stack(keypoints)[..., 1]
    for upper, lower in LIDS:
        openings = heights[..., lower] - heights[..., upper]
        # Lids are open most of the time.
        usual = np.median(openings, axis=1)
        least = openings.min(axis=1) / usual
        assert usual.min() > 0
        assert least.max() < 0.5
        assert np.median(least) < 0.1


def test_motion_is_counted_from_where_the_head_rests(
    animator: Animator, portrait: Portrait
):
    motion = neutral_frames(30)
    motion[0, POSE] = 15.0  # looks aside
    clip = MotionClip.from_values(motion, MOTION_SPACES["face"], 30)
    driven = animator.renderer.keypoints(portrait.source, clip)
    still = np.asarray(portrait.source.keypoints)
    expected = np.repeat(still, 29, axis=0)
    assert_allclose(driven[1:], expected, atol=1e-5)
    assert np.abs(driven[0] - still[0]).max() > 0.05


def test_eyes_and_brows_rest_together(animator: Animator):
    guided = load_config(CONFIG, RendererConfig()).guided
    # Landmarks of the drawn heads' eyes and brows, ...
    landmarks = set()
    for name, group in GROUPS.items():
        if name.startswith(("brow", "eye", "iris")):
            landmarks.update(range(COUNT)[group])
    # ... and the keypoints that these guided in training.
    keypoints = set()
    for keypoint, landmark in guided:
        if landmark in landmarks:
            keypoints.add(keypoint)
    groups = animator.renderer.keypoint_groups
    assert keypoints == {*groups.eyes, *groups.brows}


def test_at_rest_it_is_its_portrait(spoken: Animation, portrait: Portrait):
    still = np.asarray(portrait.source.keypoints)
    distances = np.abs(spoken.keypoints - still).mean(axis=(1, 2))
    # The frame that moves least.
    index = int(np.argmin(distances))
    frame = list(spoken)[index]
    picture = read_image(demo.PORTRAIT)
    error = np.square(frame.astype(float) - picture).mean()
    ratio = 255**2 / error
    assert 10 * np.log10(ratio) > 24


def test_the_pasted_face_meets_what_is_around_it(spoken: Animation, portrait: Portrait):
    """The background beside the head keeps its colours, and nothing moves at the
    border of the crop."""
    frames = np.stack(list(spoken)[::10]).astype(float)
    changes = frames - read_image(demo.PORTRAIT)
    # Left and right of the head.
    for left, right in ((60, 100), (420, 450)):
        background = changes[:, 60:380, left:right]
        shift = background.mean(axis=(0, 1, 2))
        assert np.abs(shift).max() < 1  # level of 255
    mobility = np.asarray(portrait.source.mobility)[0]
    border = [mobility[0], mobility[-1], mobility[:, 0], mobility[:, -1]]
    assert_array_equal(border, 0)
    assert (mobility[5:-5, 5:-5] == 1).mean() > 0.9
