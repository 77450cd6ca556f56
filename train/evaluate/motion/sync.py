"""Does motion belong to its sound? A small embedding of both, learnt from the training
clips, tells the right sound of lips from others.

Source: Chung and Zisserman, "Out of time: automated lip sync in the wild", 2016, whose
SyncNet does so for pictures; trained as in van den Oord et al., "Representation learning
with contrastive predictive coding", 2018.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxportrait.types import pytree
from train.data.lips import LIPS
from train.data.records import ClipRecord, feature_at

FRAMES = 15
"""Frames of a window, half a second; 25 features last as long."""
FEATURES = 25
POOL = 5
"""Features whose mean is one input."""
STEP = 3
"""Windows start where a feature does."""
WIDTH = 64
HIDDEN = 128
BATCH = 128
LEARNING_RATE = 1e-3
CANDIDATES = 16
"""Sounds among which the right one is looked for, itself among them."""
TEMPERATURE = 10.0
"""Factor of cosines, as large as a softmax over a batch needs."""

Windows = Float[np.ndarray, "n values"]


@dataclass(frozen=True)
class Pairs:
    """Windows of motion and those of their sound."""

    motion: Windows
    sound: Windows

    def __len__(self) -> int:
        return len(self.motion)

    def take(self, rows: np.ndarray) -> "Pairs":
        return Pairs(self.motion[rows], self.sound[rows])


@pytree
@dataclass(frozen=True)
class Embedding:
    """Two networks of one hidden layer each, by their weights.

    Attributes:
      motion, sound: first and second matrix.
    """

    motion: tuple[Float[Array, "m h"], Float[Array, "h w"]]
    sound: tuple[Float[Array, "s h"], Float[Array, "h w"]]


@dataclass(frozen=True)
class Units:
    """Mean and deviation of the training windows."""

    mean: Pairs
    deviation: Pairs

    @classmethod
    def of_windows(cls, windows: Pairs) -> "Units":
        mean = Pairs(windows.motion.mean(axis=0), windows.sound.mean(axis=0))
        return cls(mean, Pairs(_deviation(windows.motion), _deviation(windows.sound)))

    def scale(self, windows: Pairs) -> Pairs:
        return Pairs(
            (windows.motion - self.mean.motion) / self.deviation.motion,
            (windows.sound - self.mean.sound) / self.deviation.sound,
        )


@dataclass(frozen=True)
class SyncJudge:
    """An embedding, and the units of what it reads."""

    embedding: Embedding
    units: Units

    def score(self, windows: Pairs) -> float:
        """Return the share of windows whose own sound is nearer than 15 others, spread
        over all; 1/16 is chance."""
        scaled = self.units.scale(windows)
        motion, sound = _embed(self.embedding, scaled.motion, scaled.sound)
        # row: a window of motion, column: one of sound
        cosines = np.asarray(motion @ sound.T)
        count = len(windows)
        # the others are evenly spaced over all windows, whatever their clip
        distances = np.arange(1, CANDIDATES) * count // CANDIDATES
        rows = np.arange(count)
        others = (rows[:, None] + distances) % count
        nearest = cosines[rows[:, None], others].max(axis=1)
        return float(np.mean(cosines[rows, rows] > nearest))


def cut_windows(
    motions: Sequence[Float[np.ndarray, "frames 18"]],
    features: Sequence[Float[np.ndarray, "features width"]],
) -> Pairs:
    """Cut clips into windows of lip expression and of their sound's features.

    A clip's lips count from their mean, so that the embedding does not know the
    speaker.
    """
    lips, sounds = [], []
    for motion, sound in zip(motions, features, strict=True):
        centered = motion - motion.mean(axis=0)
        for start in range(0, len(motion) - FRAMES + 1, STEP):
            first = feature_at(start)
            part = sound[first : first + FEATURES].astype(np.float32)
            # 25 features become 5
            pooled = part.reshape(FEATURES // POOL, POOL, -1).mean(axis=1)
            # 15 18 -> 270
            lips.append(centered[start : start + FRAMES].ravel())
            sounds.append(pooled.ravel())
    return Pairs(np.stack(lips).astype(np.float32), np.stack(sounds))


def learn_sync(clips: Iterable[ClipRecord], steps: int) -> SyncJudge | None:
    """Learn the embedding from the training clips; None where they have fewer windows
    than a batch.

    Args:
      steps: updates, of 128 windows each.
    """
    records = list(clips)
    columns = list(LIPS)
    windows = cut_windows(
        [clip.motion[:, columns] for clip in records],
        [clip.features for clip in records],
    )
    if len(windows) < BATCH:
        return None
    units = Units.of_windows(windows)
    return SyncJudge(_train(units.scale(windows), steps), units)


def _train(windows: Pairs, steps: int) -> Embedding:
    optimizer = optax.adamw(LEARNING_RATE, weight_decay=1e-2)
    embedding = _fresh(jax.random.key(0), windows)
    state = optimizer.init(embedding)  # pyright: ignore[reportArgumentType]

    @jax.jit
    def update(embedding, state, motion, sound):
        gradients = jax.grad(_contrast)(embedding, motion, sound)
        # Optax promotes its integer step count
        with jax.numpy_dtype_promotion("standard"):
            changes, state = optimizer.update(gradients, state, embedding)
        return optax.apply_updates(embedding, changes), state

    # batches of windows, each of another one
    order = np.random.default_rng(0)
    for _ in range(steps):
        batch = windows.take(order.choice(len(windows), BATCH, replace=False))
        embedding, state = update(embedding, state, batch.motion, batch.sound)
    return embedding


def _contrast(
    embedding: Embedding, motion: Float[Array, "n m"], sound: Float[Array, "n s"]
) -> Float[Array, ""]:
    """Return the cross-entropy of finding each window's sound, and each sound's
    window."""
    motions, sounds = _embed(embedding, motion, sound)
    # row: a window of motion, column: one of sound
    logits = TEMPERATURE * (motions @ sounds.T)
    rows = jnp.arange(len(logits))
    forth = optax.softmax_cross_entropy_with_integer_labels(logits, rows)
    back = optax.softmax_cross_entropy_with_integer_labels(logits.T, rows)
    return jnp.mean(forth + back)


@jax.jit
def _embed(
    embedding: Embedding, motion: Float[Array, "n m"], sound: Float[Array, "n s"]
) -> tuple[Float[Array, "n w"], Float[Array, "n w"]]:
    return _layers(embedding.motion, motion), _layers(embedding.sound, sound)


def _layers(
    weights: tuple[Array, Array], values: Float[Array, "n v"]
) -> Float[Array, "n w"]:
    first, second = weights
    embedded = jax.nn.gelu(values @ first) @ second
    # The small number keeps the gradient of a zero vector finite.
    length = jnp.sqrt(jnp.square(embedded).sum(axis=1, keepdims=True) + 1e-12)
    return embedded / length


def _fresh(key: PRNGKeyArray, windows: Pairs) -> Embedding:
    keys = jax.random.split(key, 4)

    def draw(key: PRNGKeyArray, rows: int, columns: int) -> Array:
        return jax.random.normal(key, (rows, columns)) / np.float32(np.sqrt(rows))

    return Embedding(
        (draw(keys[0], windows.motion.shape[1], HIDDEN), draw(keys[1], HIDDEN, WIDTH)),
        (draw(keys[2], windows.sound.shape[1], HIDDEN), draw(keys[3], HIDDEN, WIDTH)),
    )


def _deviation(windows: Windows) -> Float[np.ndarray, " values"]:
    # values that never change say nothing
    deviation = windows.std(axis=0)
    return np.where(deviation > 0, deviation, 1)
