"""The face of Ditto's motion: emotions, blinks, and the source in place of the
character."""

import numpy as np
import pytest

from convert_weights.bundle import convert_files, write
from convert_weights.ditto.recipe import DittoRecipe, write_ditto
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.base import SourceFace
from jaxportrait.drivers.blinks import EYES
from jaxportrait.drivers.ditto import DittoDriver
from jaxportrait.drivers.live import make_live
from jaxportrait.drivers.registry import load_driver
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.media.audio import Audio
from jaxportrait.motion.binned import degrees_of
from jaxportrait.types import Motion
from tests.arrays import draw
from tests.drivers import contract

VOICE = Audio.from_samples(0.1 * draw(9_000, seed=1), 16_000)
LONG_VOICE = Audio.from_samples(0.1 * draw(210 * 640, seed=1), 16_000)


@pytest.fixture(scope="module")
def checkpoint(golden, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ditto")
    files = write_ditto(DittoRecipe(golden / "ditto"), "small", folder)
    write(convert_files({}, ditto=files), folder / "checkpoint")
    return open_checkpoint(folder / "checkpoint")


@pytest.fixture(scope="module")
def driver(checkpoint) -> DittoDriver:
    driver = load_driver(checkpoint, full_precision=True)
    assert isinstance(driver, DittoDriver)
    return driver


def make(driver: DittoDriver, audio: Audio = VOICE, seed: int = 0, **options):
    """Return the expression of a clip with these options."""
    sampling = MotionSampling(**{"steps": 4, **options})
    return driver.with_sampling(sampling).make(audio, seed=seed).expression


def test_the_emotion_moves_the_motion(driver):
    plain = make(driver)
    assert np.abs(make(driver, emotion="happy") - plain).max() > 1e-3
    # Without strength, every emotion is the neutral one.
    sad = make(driver, emotion="sad", emotion_strength=0.0)
    happy = make(driver, emotion="happy", emotion_strength=0.0)
    np.testing.assert_array_equal(sad, happy)


def test_emotions_over_time_may_be_one_emotion(driver, tmp_path):
    path = tmp_path / "moods.toml"
    path.write_text("[[keyframes]]\ntime = 0\nhappy = 1\n")
    moved = make(driver, emotion_keyframes=path)
    np.testing.assert_allclose(moved, make(driver, emotion="happy"), atol=1e-6)
    # Other options of the same driver have the checkpoint's emotion again.
    sampling = MotionSampling(emotion_keyframes=path)
    other = driver.with_sampling(sampling)
    np.testing.assert_array_equal(make(other), make(driver))


@pytest.mark.parametrize("windows", ["fused", "original"])
def test_blinks_are_the_curve_or_none(checkpoint, driver, windows):
    options = {"audio": LONG_VOICE, "seed": 5, "steps": 1, "windows": windows}
    assert np.ptp(make(driver, **options)[:, EYES], axis=0).max() > 1e-3
    # Eyes that never blink are the same in all frames.
    still = make(driver, blinks="off", **options)
    np.testing.assert_array_equal(np.ptp(still[:, EYES], axis=0), 0)
    blinking = make(driver, blinks="curve", **options)
    change = blinking - still
    curve = checkpoint.leaves("character")["blink"].reshape(-1, 21, 3)
    distance = np.abs(change[:, EYES] - curve[-1, EYES]).max(axis=(1, 2))
    # The last frame of the curve is there, once a blink.
    assert (distance < 1e-6).sum() >= 1
    others = np.delete(np.arange(21), EYES)
    np.testing.assert_array_equal(change[:, others], 0)


def test_the_seed_decides_the_times_of_blinks(driver):
    def eyes(seed: int) -> np.ndarray:
        clip = make(driver, LONG_VOICE, seed, steps=1, blinks="curve")
        return clip[:, EYES] - clip[:1, EYES]

    np.testing.assert_array_equal(eyes(5), eyes(5))
    assert np.abs(eyes(5) - eyes(6)).max() > 1e-3


@pytest.mark.parametrize("windows", ["fused", "original"])
@pytest.mark.parametrize("blinks", ["curve", "off"])
def test_blinks_of_live_sound_depend_on_no_cutting(driver, windows, blinks):
    # Long enough for a blink of the seed in either kind of windows.
    sampling = MotionSampling(steps=1, windows=windows, blinks=blinks)
    live = make_live(driver.with_sampling(sampling))
    sound = 0.1 * draw(120 * 640, seed=1)
    whole = live.make(Audio.from_samples(sound, 16_000), seed=3)
    # The contract plays the seed 3.
    pieces = contract.live_clip(live, sound, 7_777)
    contract.assert_close(pieces, whole, 1e-5)
    still = whole.expression[:, EYES]
    moves = np.ptp(still, axis=0).max() > 1e-3
    assert moves == (blinks == "curve")


def read_source() -> SourceFace:
    logits = draw(1, 3, 66, seed=7)
    motion = Motion(
        keypoints=draw(1, 21, 3, seed=8),
        expression=0.02 * draw(1, 21, 3, seed=9),
        pose=degrees_of(logits),
        translation=draw(1, 3, seed=10),
        scale=np.full((1, 1), 1.4, np.float32),
        logits=logits,
    )
    openness = draw(1, 2, seed=11)
    eyeballs = draw(1, 6, seed=12)
    return SourceFace(motion, openness, eyeballs)


def test_the_source_may_stand_for_the_character(driver):
    source = read_source()
    conditioned = driver.with_source(source)
    # Size less 1, angles, position, expression: what the network reads.
    np.testing.assert_allclose(conditioned.reference[0], 0.4, rtol=1e-5)
    yaw = conditioned.reference[67:133]
    np.testing.assert_array_equal(yaw, source.motion.logits[0, 1])
    assert np.abs(make(conditioned) - make(driver)).max() > 1e-3


def test_only_the_character_has_a_head_of_another_size(driver):
    nothing = np.zeros((0, 265), np.float32)
    performer = driver.clip_of(nothing).performer
    assert performer is not None
    assert performer.scales_eyes
    # Eyes of a curve serve heads of any size, from the first chunk of a live sound on.
    curve = driver.with_sampling(MotionSampling(blinks="curve"))
    assert not curve.clip_of(nothing).performer.scales_eyes
    assert driver.with_source(read_source()).clip_of(nothing).performer is None
