"""The contract of `AudioFeatures`, for every implementation of it."""

from collections.abc import Iterator

import jax
import numpy as np

from jaxportrait.features.base import AudioFeatures

SAMPLE_RATE = 16_000


def cut(sound: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Cut a sound into chunks of one size; the last one is shorter."""
    for start in range(0, len(sound), size):
        yield sound[start : start + size]


def count_features(features: AudioFeatures, sound: np.ndarray) -> int:
    """Return how many features a sound has."""
    seconds = len(sound) / SAMPLE_RATE
    return int(seconds * features.rate)


def live_features(
    features: AudioFeatures, sound: np.ndarray, size: int, count: int
) -> np.ndarray:
    """Return the first `count` features of a sound that arrives in chunks."""
    state = features.start()
    pieces = []
    for chunk in cut(sound, size):
        piece, state = features.step(state, chunk)
        pieces.append(piece)
    # What the chunks did not complete follows at the end.
    rest = features.finish(state, count)
    pieces.append(rest)
    return np.concatenate(pieces)


def assert_any_cutting_makes_the_same_features(
    features: AudioFeatures, sound: np.ndarray, hop: int
) -> None:
    """Cut a sound at 1x and 2x its hop, at odd sizes and not at all."""
    count = count_features(features, sound)
    whole = live_features(features, sound, len(sound), count)
    assert whole.shape == (count, features.width)
    for size in (hop, 2 * hop, 1_234, 77):
        pieces = live_features(features, sound, size, count)
        np.testing.assert_allclose(pieces, whole, atol=1e-5)


def assert_features_arrive_within_the_latency(
    features: AudioFeatures, sound: np.ndarray, size: int = 80
) -> None:
    """Feature i is complete `latency` after its start, and one of them not before."""
    state = features.start()
    count = 0
    longest = 0.0
    for start in range(0, len(sound), size):
        piece, state = features.step(state, sound[start : start + size])
        if len(piece) == 0:
            continue
        # The first feature of a piece has waited longest.
        wait = (start + size) / SAMPLE_RATE - count / features.rate
        longest = max(longest, wait)
        count += len(piece)
    chunk = size / SAMPLE_RATE
    assert features.latency <= longest < features.latency + chunk


def assert_a_live_feature_reads_its_context_only(
    features: AudioFeatures, sound: np.ndarray, changed: int
) -> None:
    """A sample that changes, changes no feature that lies too far from it."""
    other = sound.copy()
    other[changed] += 0.3
    count = count_features(features, sound)
    before = live_features(features, sound, len(sound), count)
    after = live_features(features, other, len(sound), count)
    (different,) = np.nonzero((before != after).any(axis=1))
    assert different.size > 0
    # Seconds from the sample to the start of a feature.
    seconds = different / features.rate - changed / SAMPLE_RATE
    assert seconds.min() >= -features.latency
    assert seconds.max() <= features.context


def assert_states_are_pytrees(features: AudioFeatures, sound: np.ndarray) -> None:
    """A state that is taken apart and put together again continues as before."""
    _, state = features.step(features.start(), sound[:5_000])
    leaves, structure = jax.tree.flatten(state)
    arrays = [np.asarray(leaf) for leaf in leaves]
    copy = jax.tree.unflatten(structure, arrays)
    expected, _ = features.step(state, sound[5_000:])
    actual, _ = features.step(copy, sound[5_000:])
    assert len(expected) > 0
    np.testing.assert_array_equal(actual, expected)
