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


def live_features(
    features: AudioFeatures, sound: np.ndarray, size: int, count: int
) -> np.ndarray:
    """Return the first `count` features of a sound that arrives in chunks."""
    state = features.start()
    pieces = []
    for chunk in cut(sound, size):
        piece, state = features.step(state, chunk)
        pieces.append(piece)
    pieces.append(features.finish(state, count))
    return np.concatenate(pieces)


def assert_any_cutting_makes_the_same_features(
    features: AudioFeatures, sound: np.ndarray, hop: int
) -> None:
    """Cut a sound at 1x and 2x its hop, at odd sizes and not at all."""
    count = int(len(sound) / SAMPLE_RATE * features.rate)
    whole = live_features(features, sound, len(sound), count)
    assert whole.shape == (count, features.width)
    for size in (hop, 2 * hop, 1_234, 77):
        np.testing.assert_allclose(
            live_features(features, sound, size, count), whole, atol=1e-5
        )


def assert_features_arrive_within_the_latency(
    features: AudioFeatures, sound: np.ndarray, size: int = 80
) -> None:
    """Feature i is complete `latency` after its start, and one of them not before."""
    state = features.start()
    count = 0
    waits = []
    for start in range(0, len(sound), size):
        piece, state = features.step(state, sound[start : start + size])
        second = (start + size) / SAMPLE_RATE
        waits += [second - (count + i) / features.rate for i in range(len(piece))]
        count += len(piece)
    chunk = size / SAMPLE_RATE
    assert count > 0
    assert features.latency <= max(waits) < features.latency + chunk


def assert_a_live_feature_reads_its_context_only(
    features: AudioFeatures, sound: np.ndarray, changed: int
) -> None:
    """A sample that changes leaves all features alone that lie too far from it."""
    other = sound.copy()
    other[changed] += 0.3
    count = int(len(sound) / SAMPLE_RATE * features.rate)
    before = live_features(features, sound, len(sound), count)
    after = live_features(features, other, len(sound), count)
    (different,) = np.nonzero((before != after).any(axis=1))
    seconds = different / features.rate - changed / SAMPLE_RATE
    assert different.size > 0
    assert seconds.min() >= -features.latency
    assert seconds.max() <= features.context


def assert_states_are_pytrees(features: AudioFeatures, sound: np.ndarray) -> None:
    """A state that is taken apart and put together again goes on as before."""
    _, state = features.step(features.start(), sound[:5_000])
    leaves, structure = jax.tree.flatten(state)
    copy = jax.tree.unflatten(structure, [np.asarray(leaf) for leaf in leaves])
    expected, _ = features.step(state, sound[5_000:])
    actual, _ = features.step(copy, sound[5_000:])
    assert len(expected) > 0
    np.testing.assert_array_equal(actual, expected)
