"""A new driver is one file and one row of the registry: it animates the demo."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jaxportrait import demo
from jaxportrait.animation import Retargeting
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.checkpoint.kinds import DRIVERS, DriverKind
from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import open_detector
from jaxportrait.media.image import read_image


@pytest.fixture(scope="module")
def animator() -> Animator:
    with pytest.MonkeyPatch.context() as patch:
        row = DriverKind("tests.drivers.sine_driver", config=None, loader="load_sine")
        patch.setitem(DRIVERS, "sine", row)
        checkpoint = open_checkpoint(demo.CHECKPOINT)
        return Animator(checkpoint, driver="sine", detector=open_detector("haar"))


def test_a_scratch_driver_animates_the_portrait_of_the_demo(animator, voice):
    animator.warm_up(1.0)
    sound = Audio.from_samples(voice[:16_000], 16_000)
    animation = animator.animate(demo.PORTRAIT, sound)
    assert (len(animation), animation.fps) == (24, 24)
    heights = animation.keypoints[..., 1].mean(axis=1)
    # One nod a second: the head is as far down as it was up half a second before.
    still = heights[0]
    assert_allclose(heights[12:] - still, still - heights[:12], atol=0.02)
    frames = np.stack(list(animation)).astype(int)
    picture = read_image(demo.PORTRAIT)
    assert frames.shape == (24, *picture.shape)
    # The face is farthest from its rest after a quarter of a second.
    face = (slice(150, 420), slice(150, 360))
    distances = np.abs(frames - frames[0])[:, *face].mean(axis=(1, 2, 3))
    assert distances[6] > 3
    assert distances[12] < distances[6] / 4


def test_the_motion_of_a_driver_is_resampled(animator, voice):
    sound = Audio.from_samples(voice, 16_000)
    animation = animator.animate(demo.PORTRAIT, sound, output_fps=10)
    assert (len(animation), animation.fps) == (20, 10)


def test_a_driver_of_the_head_replaces_no_lips(animator):
    with pytest.raises(ValueError, match='composition "original" moves only lips'):
        animator.check_retargeting(Retargeting("original"))
