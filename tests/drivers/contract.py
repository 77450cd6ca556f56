"""The contract of drivers, for every implementation of it."""

import jax
import numpy as np

from jaxportrait.drivers.base import LiveDriver, frame_count
from jaxportrait.media.audio import Audio
from jaxportrait.motion.clip import MotionClip, concatenate
from tests.features.contract import SAMPLE_RATE, cut

BOUND = 1e-5


def live_clip(driver: LiveDriver, sound: np.ndarray, size: int) -> MotionClip:
    """Return the motion of a sound that arrives in chunks of one size."""
    state = driver.start(seed=3)
    clips = []
    for chunk in cut(sound, size):
        clip, state = driver.step(state, chunk)
        clips.append(clip)
    # What the chunks did not complete follows at the end.
    tail = driver.finish(state)
    clips.append(tail)
    return concatenate(clips)


def assert_close(actual: MotionClip, expected: MotionClip, bound: float) -> None:
    """Compare two clips field by field."""
    arrays = actual.arrays()
    assert actual.fps == expected.fps
    assert arrays.keys() == expected.arrays().keys()
    for name, array in expected.arrays().items():
        np.testing.assert_allclose(arrays[name], array, atol=bound)


def assert_any_cutting_makes_the_same_frames(
    driver: LiveDriver, sound: np.ndarray, hop: int
) -> None:
    """Cut a sound at 1x and 2x the samples of a step, at odd sizes and not at all."""
    whole = live_clip(driver, sound, len(sound))
    seconds = len(sound) / SAMPLE_RATE
    assert len(whole) == frame_count(seconds, driver.fps)
    for size in (hop, 2 * hop, 3_333, 501):
        pieces = live_clip(driver, sound, size)
        assert_close(pieces, whole, BOUND)


def assert_make_is_the_live_mode(driver: LiveDriver, sound: np.ndarray) -> None:
    """`make` is start, step and finish over the whole sound."""
    audio = Audio.from_samples(sound, SAMPLE_RATE)
    whole = driver.make(audio, seed=3)
    live = live_clip(driver, sound, len(sound))
    assert_close(whole, live, BOUND)
    # Fewer frames are a cut, and more are made of silence.
    shorter = driver.make(audio, seed=3, frames=7)
    assert_close(shorter, whole[:7], BOUND)
    count = len(whole) + 4
    longer = driver.make(audio, seed=3, frames=count)
    assert len(longer) == count


def assert_frames_arrive_within_the_latency(
    driver: LiveDriver, sound: np.ndarray, size: int = 160
) -> None:
    """A frame is emitted `latency` after its time at the latest.

    One frame waits as long, so that the latency says something.
    """
    state = driver.start(seed=0)
    count = 0
    longest = 0.0
    for start in range(0, len(sound), size):
        clip, state = driver.step(state, sound[start : start + size])
        if len(clip) == 0:
            continue
        # The first frame of a clip has waited longest.
        wait = (start + size) / SAMPLE_RATE - count / driver.fps
        longest = max(longest, wait)
        count += len(clip)
    chunk = size / SAMPLE_RATE
    assert driver.latency - chunk <= longest <= driver.latency + chunk


def assert_states_are_pytrees(driver: LiveDriver, sound: np.ndarray) -> None:
    """A state that is taken apart and put together again continues as before."""
    half = len(sound) // 2
    _, state = driver.step(driver.start(seed=0), sound[:half])
    leaves, structure = jax.tree.flatten(state)
    copy = jax.tree.unflatten(structure, leaves)
    expected, _ = driver.step(state, sound[half:])
    actual, _ = driver.step(copy, sound[half:])
    assert len(expected) > 0
    assert_close(actual, expected, 0)
