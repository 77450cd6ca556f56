"""Features from the waveform: windows of whole clips, and live sounds hop by hop."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.features.waveform import (
    WaveformFeatures,
    _encode,
    hubert_features,
    pad_window,
)
from jaxportrait.models.hubert import HubertConfig
from tests.features import contract
from tests.models.networks import drawn

WINDOW = 12_800
"""Samples of a window of the tiny network: 40 features."""


@pytest.fixture(scope="module")
def features() -> WaveformFeatures:
    return hubert_features(drawn(HubertConfig.tiny()))


def noise(samples: int) -> np.ndarray:
    rng = np.random.default_rng(samples)
    return rng.normal(0, 0.1, samples).astype(np.float32)


def test_a_window_is_mirrored_at_both_ends_twice():
    """The second mirror reads what the first has added."""
    window = np.arange(WINDOW, dtype=np.float32)
    (padded,) = pad_window(jnp.asarray(window)[None])
    assert padded.shape == (WINDOW + 80,)
    assert padded[:20].tolist() == list(range(20))
    assert padded[20:40].tolist() == list(range(20, 0, -1))
    np.testing.assert_array_equal(padded[40:-40], window)
    end = WINDOW - 1
    assert padded[-40:-20].tolist() == list(range(end - 1, end - 21, -1))
    assert padded[-20:].tolist() == list(range(end - 19, end + 1))


@pytest.mark.parametrize(
    ("samples", "padded"),
    # A half sample is rounded up; a window that is nearly a feature longer stays.
    [(16_000, 16_080), (16_001, 16_081), (16_319, 16_319), (50_000, 50_000)],
)
def test_other_windows_get_what_their_features_read(samples, padded):
    assert pad_window(jnp.zeros((1, samples))).shape == (1, padded)


def test_a_window_has_its_features_whatever_their_scale(features):
    """The first norm removes the loudness of a window."""
    window = noise(WINDOW)
    encoded = features.encode_window(window)
    assert encoded.shape == (features.window, features.width)
    louder = features.encode_window(8 * window)
    np.testing.assert_allclose(louder, encoded, atol=2e-2)
    assert np.abs(encoded - features.encode_window(window[::-1].copy())).max() > 0.1


@pytest.mark.parametrize("count", [1, 40, 41, 100])
def test_a_clip_is_encoded_in_windows_that_lie_end_to_end(features, count):
    clip = noise(25_000)
    chunks = np.array_split(clip, 17)
    encoded = features.encode(lambda: chunks, count)
    assert encoded.shape == (count, features.width)
    # Silence fills the last window.
    padded = np.pad(clip, (0, 3 * WINDOW - clip.size))
    for start in range(0, count, features.window):
        window = padded[start * 320 : start * 320 + WINDOW]
        expected = features.encode_window(window)[: count - start]
        part = encoded[start : start + features.window]
        np.testing.assert_array_equal(part, expected)


def test_windows_may_overlap(features):
    clip = noise(30_000)
    windows = list(features.encode_windows(lambda: [clip], 10, 5))
    assert len(windows) == 5
    padded = np.pad(clip, (0, WINDOW))
    for index, window in enumerate(windows):
        start = 3_200 * index
        expected = features.encode_window(padded[start : start + WINDOW])
        np.testing.assert_array_equal(window, expected)


@pytest.mark.parametrize("samples", [150, 3_200, 30_003])
def test_any_cutting_of_a_live_sound_makes_the_same_features(features, samples):
    contract.assert_any_cutting_makes_the_same_features(features, noise(samples), 3_200)


def test_live_features_arrive_within_the_latency(features):
    assert features.latency == 0.4
    contract.assert_features_arrive_within_the_latency(features, noise(20_000))


def test_a_live_feature_reads_its_context_only(features):
    sound = noise(48_000)
    contract.assert_a_live_feature_reads_its_context_only(features, sound, 16_000)


def test_states_of_live_features_are_pytrees(features):
    contract.assert_states_are_pytrees(features, noise(20_000))


def test_a_live_feature_is_that_of_the_window_that_ends_now(features):
    sound = noise(32_000)
    live = contract.live_features(features, sound, 1_000, 80)
    # Features 50 to 59 are complete after feature 69, and their window starts at 30.
    window = features.encode_window(sound[9_600:22_400])
    np.testing.assert_array_equal(live[50:60], window[20:30])


def test_products_are_full_float32_on_every_platform(features):
    """Accelerators round the factors of products that do not ask for more."""
    samples = np.zeros((1, WINDOW), np.float32)
    program = _encode.lower(features.network, samples).as_text()
    operations = re.findall(r"stablehlo\.(?:dot_general|convolution)\b.*", program)
    assert len(operations) > 12
    assert all("HIGHEST" in operation for operation in operations)
