"""A small network that reads one number, such as how far a mouth is open, from a region
of a face."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

SIDE, MARGIN = 48, 4
PATCH_SIDE = SIDE + 2 * MARGIN
"""Pixels of the patches that are given; what the network reads is cut out of them, in
training now here, now there."""

WIDTHS, HIDDEN = (16, 32, 32), 64
BATCH = 64
STEPS = 1200
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1e-3
COLOR_JITTER = 0.2  # standard deviation of each colour's gain, natural logarithm

Patches = UInt8[np.ndarray, "n p p 3"]


class Regressor(nnx.Module):
    """Patch -> number."""

    def __init__(self, *, rngs: nnx.Rngs):
        widths = zip((3, *WIDTHS), WIDTHS, strict=False)
        self.layers = nnx.List(
            nnx.Conv(i, o, (3, 3), strides=2, rngs=rngs) for i, o in widths
        )
        self.hidden = nnx.Linear(
            (SIDE // 2 ** len(WIDTHS)) ** 2 * WIDTHS[-1], HIDDEN, rngs=rngs
        )
        self.out = nnx.Linear(HIDDEN, 1, rngs=rngs)

    def __call__(self, patches: Float[Array, "n s s 3"]) -> Float[Array, " n"]:
        """Each colour counts by its deviation from the patch's mean, so that skin and
        light matter little."""
        x = patches - jnp.mean(patches, axis=(1, 2), keepdims=True)
        x = x / (jnp.std(x, axis=(1, 2), keepdims=True) + 1e-3)
        for layer in self.layers:
            x = nnx.relu(layer(x))
        return self.out(nnx.relu(self.hidden(x.reshape(len(x), -1))))[:, 0]


@dataclass(frozen=True)
class Reader:
    """A regressor that has been trained.

    Attributes:
      mean, deviation: of what it was trained on; the network's own output is of mean 0
        and deviation 1.
    """

    network: Regressor
    mean: float
    deviation: float

    def __call__(self, patches: Patches) -> Float[np.ndarray, " n"]:
        """The number that each patch shows, in the units it was trained on."""
        read = []
        for start in range(0, len(patches), BATCH):
            part = patches[start : start + BATCH]
            padded = np.concatenate(
                [part, np.repeat(part[-1:], BATCH - len(part), axis=0)]
            )
            read.append(np.asarray(_read(self.network, padded))[: len(part)])
        return np.concatenate(read).astype(np.float64) * self.deviation + self.mean


def train_reader(
    patches: Patches,
    values: Float[np.ndarray, " n"],
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> Reader:
    """Learn to read `values` from patches.

    The patches are moved by up to `MARGIN` pixels, mirrored, tinted and softened, since
    a renderer's pictures are not quite where, and not quite as sharp and as coloured,
    as those it is trained on.
    """
    mean, deviation = float(values.mean()), max(float(values.std()), 1e-6)
    graph, params = nnx.split(Regressor(rngs=nnx.Rngs(seed)))
    state = (params, _optimizer(steps).init(params))
    wanted = jnp.asarray((values - mean) / deviation, jnp.float32)
    stored, key = jnp.asarray(patches), jax.random.key(seed)
    for step in range(steps):
        state = _update(
            state,
            jax.random.fold_in(key, step),
            stored,
            wanted,
            graph=graph,
            steps=steps,
        )
    return Reader(nnx.merge(graph, state[0]), mean, deviation)


def _optimizer(steps: int) -> optax.GradientTransformation:
    return optax.adamw(
        optax.cosine_decay_schedule(LEARNING_RATE, steps), weight_decay=WEIGHT_DECAY
    )


@partial(jax.jit, static_argnames=("graph", "steps"), donate_argnames="state")
def _update(
    state: tuple[nnx.State, optax.OptState],
    key: PRNGKeyArray,
    patches: UInt8[Array, "n p p 3"],
    wanted: Float[Array, " n"],
    *,
    graph: nnx.GraphDef,
    steps: int,
) -> tuple[nnx.State, optax.OptState]:
    """A step on patches drawn at random."""
    params, moments = state
    draw, change = jax.random.split(key)
    rows = jax.random.randint(draw, (BATCH,), 0, len(patches))
    seen = jax.vmap(change_patch)(jax.random.split(change, BATCH), _unit(patches[rows]))

    def loss(params: nnx.State) -> Float[Array, ""]:
        return jnp.mean(jnp.square(nnx.merge(graph, params)(seen) - wanted[rows]))

    with jax.numpy_dtype_promotion("standard"):
        step, moments = _optimizer(steps).update(
            jax.grad(loss)(params), moments, params
        )
    return optax.apply_updates(params, step), moments  # pyright: ignore[reportReturnType]


def change_patch(
    key: PRNGKeyArray, patch: Float[Array, "p p 3"]
) -> Float[Array, "s s 3"]:
    """A patch moved, mirrored, tinted and softened at random, cut to what the network
    reads."""
    move, mirror, tint, soften = jax.random.split(key, 4)
    soft = jax.random.uniform(soften)
    patch = (1 - soft) * patch + soft * _blur(patch)
    patch = patch * jnp.exp(COLOR_JITTER * jax.random.normal(tint, (1, 1, 3)))
    row, column = jax.random.randint(move, (2,), 0, 2 * MARGIN + 1)
    cut = jax.lax.dynamic_slice(patch, (row, column, 0), (SIDE, SIDE, 3))
    return jnp.where(jax.random.bernoulli(mirror), cut[:, ::-1], cut)


def _blur(patch: Float[Array, "p p 3"]) -> Float[Array, "p p 3"]:
    """Binomial over three pixels each way."""
    for axis in (0, 1):
        ends = [(1, 1) if axis == each else (0, 0) for each in range(3)]
        wide, size = jnp.pad(patch, ends, mode="edge"), patch.shape[axis]
        before, here, after = (
            jax.lax.slice_in_dim(wide, start, start + size, axis=axis)
            for start in range(3)
        )
        patch = (before + 2 * here + after) / 4
    return patch


@jax.jit
def _read(network: Regressor, patches: UInt8[Array, "n p p 3"]) -> Float[Array, " n"]:
    return network(_unit(patches)[:, MARGIN:-MARGIN, MARGIN:-MARGIN])


def _unit(patches: UInt8[Array, "n p p 3"]) -> Float[Array, "n p p 3"]:
    return patches.astype(jnp.float32) / 255
