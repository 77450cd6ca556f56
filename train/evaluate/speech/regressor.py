"""A small network that reads one number, such as how far a mouth is open, from a region
of a face."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

SIDE = 48
"""Side in pixels of the picture that the network reads."""
MARGIN = 4
PATCH_SIDE = SIDE + 2 * MARGIN
"""Side in pixels of a patch; the picture is cut out of its middle, and in training out
of any place."""

WIDTHS = (16, 32, 32)
HIDDEN = 64
BATCH = 64
STEPS = 1200
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
COLOR_JITTER = 0.2  # standard deviation of each colour's gain, natural logarithm

Patches = UInt8[np.ndarray, "n p p 3"]


class Regressor(nnx.Module):
    """A small convolutional network: picture -> number."""

    def __init__(self, *, rngs: nnx.Rngs):
        layers = []
        for i, o in pairwise((3, *WIDTHS)):
            layers.append(nnx.Conv(i, o, (3, 3), strides=2, rngs=rngs))
        self.layers = nnx.List(layers)
        # each layer halves the side
        side = SIDE // 2 ** len(WIDTHS)
        self.hidden = nnx.Linear(side * side * WIDTHS[-1], HIDDEN, rngs=rngs)
        self.out = nnx.Linear(HIDDEN, 1, rngs=rngs)

    def __call__(self, pictures: Float[Array, "n s s 3"]) -> Float[Array, " n"]:
        """Return the number that each picture shows.

        Each colour counts by its deviation from the picture's mean, so that skin and
        light matter little.
        """
        x = pictures - jnp.mean(pictures, axis=(1, 2), keepdims=True)
        x = x / (jnp.std(x, axis=(1, 2), keepdims=True) + 1e-3)
        for layer in self.layers:
            x = nnx.relu(layer(x))
        x = x.reshape(len(x), -1)  # n h w c -> n hwc
        x = nnx.relu(self.hidden(x))
        return self.out(x)[:, 0]


@dataclass(frozen=True)
class Reader:
    """A trained regressor.

    Attributes:
      network: its output has mean 0 and deviation 1 over the training values.
      mean: mean of the training values.
      deviation: deviation of the training values.
    """

    network: Regressor
    mean: float
    deviation: float

    def __call__(self, patches: Patches) -> Float[np.ndarray, " n"]:
        """Return the number that each patch shows, in units of the training values."""
        values = []
        for start in range(0, len(patches), BATCH):
            part = patches[start : start + BATCH]
            # one program serves any number of patches
            padding = np.repeat(part[-1:], BATCH - len(part), axis=0)
            batch = np.asarray(_read(self.network, np.concatenate([part, padding])))
            values.append(batch[: len(part)])
        normalised = np.concatenate(values).astype(np.float64)
        return normalised * self.deviation + self.mean


def train_reader(
    patches: Patches,
    values: Float[np.ndarray, " n"],
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> Reader:
    """Learn to read `values` from patches.

    The patches are moved by up to `MARGIN` pixels, mirrored, tinted and softened: a
    renderer's pictures are not quite where the training pictures are, and not quite as
    sharp and as coloured.
    """
    mean = float(values.mean())
    deviation = max(float(values.std()), 1e-6)
    graph, params = nnx.split(Regressor(rngs=nnx.Rngs(seed)))
    # weights and the optimizer's moments
    state = (params, _optimizer(steps).init(params))
    targets = jnp.asarray((values - mean) / deviation, jnp.float32)
    # all patches stay on the device
    stored = jnp.asarray(patches)
    key = jax.random.key(seed)
    for step in range(steps):
        step_key = jax.random.fold_in(key, step)
        state = _update(state, step_key, stored, targets, graph=graph, steps=steps)
    return Reader(nnx.merge(graph, state[0]), mean, deviation)


def _optimizer(steps: int) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(LEARNING_RATE, steps)
    return optax.adamw(schedule, weight_decay=WEIGHT_DECAY)


@partial(jax.jit, static_argnames=("graph", "steps"), donate_argnames="state")
def _update(
    state: tuple[nnx.State, optax.OptState],
    key: PRNGKeyArray,
    patches: UInt8[Array, "n p p 3"],
    targets: Float[Array, " n"],
    *,
    graph: nnx.GraphDef,
    steps: int,
) -> tuple[nnx.State, optax.OptState]:
    """Take a step on patches drawn at random."""
    params, moments = state
    draw, change = jax.random.split(key)
    # with replacement: patches far outnumber the steps
    rows = jax.random.randint(draw, (BATCH,), 0, len(patches))
    keys = jax.random.split(change, BATCH)
    pictures = jax.vmap(change_patch)(keys, _unit(patches[rows]))

    def loss(params: nnx.State) -> Float[Array, ""]:
        error = nnx.merge(graph, params)(pictures) - targets[rows]
        return jnp.mean(jnp.square(error))

    gradients = jax.grad(loss)(params)
    # Optax promotes its integer step count
    with jax.numpy_dtype_promotion("standard"):
        step, moments = _optimizer(steps).update(gradients, moments, params)
    return optax.apply_updates(params, step), moments  # pyright: ignore[reportReturnType]


def change_patch(
    key: PRNGKeyArray, patch: Float[Array, "p p 3"]
) -> Float[Array, "s s 3"]:
    """Return a patch moved, mirrored, tinted and softened at random, cut to what the
    network reads."""
    move, mirror, tint, soften = jax.random.split(key, 4)
    soft = jax.random.uniform(soften)
    patch = (1 - soft) * patch + soft * _blur(patch)
    # a gain for each colour
    gains = jnp.exp(COLOR_JITTER * jax.random.normal(tint, (1, 1, 3)))
    row, column = jax.random.randint(move, (2,), 0, 2 * MARGIN + 1)
    # p p 3 -> s s 3
    cut = jax.lax.dynamic_slice(patch * gains, (row, column, 0), (SIDE, SIDE, 3))
    return jnp.where(jax.random.bernoulli(mirror), cut[:, ::-1], cut)


def _blur(patch: Float[Array, "p p 3"]) -> Float[Array, "p p 3"]:
    """Blur with binomial weights over three pixels each way."""
    for axis in (0, 1):
        ends = [(0, 0), (0, 0), (0, 0)]
        ends[axis] = (1, 1)
        wide = jnp.pad(patch, ends, mode="edge")
        size = patch.shape[axis]
        before = jax.lax.slice_in_dim(wide, 0, size, axis=axis)
        after = jax.lax.slice_in_dim(wide, 2, size + 2, axis=axis)
        patch = (before + 2 * patch + after) / 4
    return patch


@jax.jit
def _read(network: Regressor, patches: UInt8[Array, "n p p 3"]) -> Float[Array, " n"]:
    middle = slice(MARGIN, -MARGIN)
    return network(_unit(patches)[:, middle, middle])


def _unit(patches: UInt8[Array, "n p p 3"]) -> Float[Array, "n p p 3"]:
    return patches.astype(jnp.float32) / 255
