"""The denoiser: its notion of order, which belongs to its weights."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.models.motion_diffusion import MotionDiffusionConfig, Positions
from tests.drivers.diffusions import small_denoiser

TINY = MotionDiffusionConfig.tiny()


def permutation_error(positions: Positions) -> float:
    """Return by how much the output changes, beside its frames' order, where the frames
    of motion and audio change theirs."""
    network = small_denoiser(replace(TINY, positions=positions))
    random = np.random.default_rng(0)
    motion = random.normal(size=(1, TINY.motion_frames, TINY.motion_width))
    audio = random.normal(size=(1, TINY.motion_frames, TINY.width))
    # The same order for motion and sound.
    order = random.permutation(TINY.motion_frames)
    start_motion, start_audio = network.start(1)
    step = jnp.array([3])

    @jax.jit
    def denoise(motion, audio):
        terms = network.audio_terms(start_audio, audio)
        clean = network.denoise(motion, start_motion, step, terms)
        return clean[:, TINY.earlier_frames :]

    motion = jnp.asarray(motion, jnp.float32)
    audio = jnp.asarray(audio, jnp.float32)
    clean = denoise(motion, audio)
    permuted = denoise(motion[:, order], audio[:, order])
    # A network without order permutes its output alike.
    difference = np.abs(permuted - clean[:, order])
    return float(difference.max() / np.abs(clean).max())


def test_constant_positions_know_no_order():
    assert permutation_error("constant") < 1e-5


def test_positions_of_a_sequence_tell_frames_apart():
    assert permutation_error("sequence") > 0.01


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"heads": 5}, "heads is 5"),
        ({"width": 33, "heads": 3}, "must be even"),
        ({"audio_frames": 50}, "multiple of motion_frames"),
        ({"positions": "none"}, "choose one of constant, sequence"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **sizes)


def test_branches_of_the_same_windows_are_those_of_two_calls():
    """They share all that comes before the first term of audio."""
    network = small_denoiser(TINY)
    random = np.random.default_rng(1)

    def draw(*shape: int) -> jax.Array:
        return jnp.asarray(random.normal(size=shape), jnp.float32)

    motion = draw(2, TINY.motion_frames, TINY.motion_width)
    earlier = draw(2, TINY.earlier_frames, TINY.motion_width)
    step = jnp.array([3, 3])
    # Terms of two windows, once with sound and once without.
    terms = draw(4, TINY.blocks, TINY.frames, TINY.width)
    denoise = jax.jit(partial(network.denoise, motion, earlier, step))
    together = denoise(terms)
    first = denoise(terms[:2])
    second = denoise(terms[2:])
    apart = np.concatenate([first, second])
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert np.abs(apart[:2] - apart[2:]).max() > 0.1
