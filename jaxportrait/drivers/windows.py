"""Sampling: audio features -> motion, by integrating the flow of overlapping windows.

The state is ONE array of frames. A step evaluates the velocity of every window, blends
what overlapping windows say of a frame, and then updates: windows agree while they are
being made, so no border is ever seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxportrait.models.flow_transformer import FlowTransformer, FlowTransformerConfig
from jaxportrait.motion.space import MOTION_FPS, MotionStatistics, denormalize
from jaxportrait.ops.flow import euler_times, guide

WindowMode = Literal["fused", "independent"]
Velocity = Callable[[Any, Array, Array, Any], Array]
"""velocity(params, motion (n, t, d), time (n,), condition) -> (n, t, d)."""

GROUP, GROUP_ON_CPU = 16, 4
"""Windows evaluated at once, where there are so many; with guidance, twice as many
rows.

At the published width the result of a product has 35 tiles of 128 x 128 with 4 windows
and 140 with 16; an H100 makes 132 at a time. A CPU is busy with 4, and a clip wastes
fewer.
"""


@dataclass(frozen=True)
class WindowPlan:
    """How a clip of up to `frames` frames is cut into windows: static, so that clips of
    one plan share a program.

    Attributes:
      capacity: windows there is room for; a multiple of `group`.
      motion_frames, audio_frames: of one window.
      stride: frames from one window's start to the next one's.
      group: windows evaluated at once.
    """

    capacity: int
    motion_frames: int
    audio_frames: int
    stride: int
    group: int

    @property
    def frames(self) -> int:
        return self.stride * (self.capacity - 1) + self.motion_frames

    @property
    def features(self) -> int:
        return self.feature_start(self.capacity - 1) + self.audio_frames

    def feature_start(self, window: int) -> int:
        """The audio feature at which a window starts."""
        return window * self.stride * self.audio_frames // self.motion_frames

    def features_of(self, count: int) -> int:
        """The audio features that `count` windows read."""
        return self.feature_start(count - 1) + self.audio_frames

    @property
    def frame_index(self) -> Int[np.ndarray, "capacity motion_frames"]:
        return (
            np.arange(self.capacity)[:, None] * self.stride
            + np.arange(self.motion_frames)[None, :]
        )

    @property
    def feature_index(self) -> Int[np.ndarray, "capacity audio_frames"]:
        starts = np.array(
            [self.feature_start(window) for window in range(self.capacity)]
        )
        return starts[:, None] + np.arange(self.audio_frames)[None, :]


def plan_windows(
    frames: int,
    config: FlowTransformerConfig,
    mode: WindowMode = "fused",
    *,
    group: int | None = None,
) -> tuple[WindowPlan, int]:
    """The plan for a clip, and how many windows cover its frames.

    Capacities double, so that clips of any length need few programs.

    Args:
      mode: "fused" windows overlap by half and are blended; "independent" ones lie end
        to end, as in the original.
      group: a power of two, by default what suits the device; a shorter clip's windows
        are one group.
    """
    group = group or (GROUP_ON_CPU if jax.default_backend() == "cpu" else GROUP)
    stride = config.motion_frames // 2 if mode == "fused" else config.motion_frames
    count = 1 + max(0, -(-(frames - config.motion_frames) // stride))
    capacity = 1 << (count - 1).bit_length()
    return WindowPlan(
        capacity,
        config.motion_frames,
        config.audio_frames,
        stride,
        min(group, capacity),
    ), count


def plans_up_to(
    frames: int, config: FlowTransformerConfig, mode: WindowMode = "fused"
) -> list[WindowPlan]:
    """Every plan that a clip of at most so many frames can have, the smallest first."""
    largest, _ = plan_windows(frames, config, mode)
    capacities = [1 << doubling for doubling in range(largest.capacity.bit_length())]
    return [
        replace(largest, capacity=capacity, group=min(largest.group, capacity))
        for capacity in capacities
    ]


def frame_noise(
    key: PRNGKeyArray, frames: int, width: int
) -> Float[Array, "frames width"]:
    """Standard normal noise, drawn frame by frame: a frame has the same noise however
    many follow it."""
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(frames))
    return jax.vmap(lambda frame_key: jax.random.normal(frame_key, (width,)))(keys)


def blend_weights(
    plan: WindowPlan, count: Int[Array, ""]
) -> Float[Array, "capacity motion_frames"]:
    """How much each window counts at each of its frames: triangles over windows that
    overlap, summing to one."""
    rising = np.arange(1, plan.motion_frames + 1, dtype=np.float32)
    triangle = (
        np.minimum(rising, rising[::-1])
        if plan.stride < plan.motion_frames
        else np.ones_like(rising)
    )
    used = (jnp.arange(plan.capacity) < count).astype(jnp.float32)
    weights = used[:, None] * jnp.asarray(triangle)[None, :]
    total = jnp.zeros((plan.frames,)).at[plan.frame_index].add(weights)
    return weights / jnp.maximum(total, 1e-6)[plan.frame_index]


def integrate(
    velocity: Velocity,
    params: Any,
    noise: Float[Array, "frames d"],
    conditions: Any,
    null_condition: Any,
    count: Int[Array, ""],
    guidance: Float[Array, ""] | float,
    *,
    plan: WindowPlan,
    steps: int,
    guided: bool,
) -> Float[Array, "frames d"]:
    """Euler steps from noise (time 0) to motion (time 1); to be traced inside a jitted
    program.

    Args:
      conditions: of every window of the plan, along the first axis of each array.
      null_condition: of no audio, with a first axis of 1.
      count: of the windows in use; groups beyond them are skipped.
      guidance: scale of classifier-free guidance.
      guided: False takes the conditional velocity alone.
    """
    times, index = jnp.asarray(euler_times(steps)), jnp.asarray(plan.frame_index)
    weights = blend_weights(plan, count)
    groups = (count + plan.group - 1) // plan.group

    def step(i: Array, state: Array) -> Array:
        def add_group(g: Array, total: Array) -> Array:
            rows, part, condition = (
                _group(tree, g, plan.group) for tree in (index, weights, conditions)
            )
            evaluate = partial(
                _guided, velocity, params, null_condition, guidance, guided
            )
            return total.at[rows].add(
                evaluate(state[rows], times[i], condition) * part[..., None]
            )

        return state + (times[i + 1] - times[i]) * lax.fori_loop(
            0, groups, add_group, jnp.zeros_like(state)
        )

    return lax.fori_loop(0, steps, step, noise)


def _guided(
    velocity: Velocity,
    params: Any,
    null_condition: Any,
    guidance: Array | float,
    guided: bool,
    motion: Array,
    time: Array,
    condition: Any,
) -> Array:
    """The velocity of a group; conditional and unconditional in one batch."""
    n = motion.shape[0]
    if not guided:
        return velocity(params, motion, jnp.broadcast_to(time, (n,)), condition)
    null = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape[1:])), null_condition
    )
    both = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), condition, null)
    predicted = velocity(
        params,
        jnp.concatenate([motion, motion]),
        jnp.broadcast_to(time, (2 * n,)),
        both,
    )
    return guide(predicted[:n], predicted[n:], guidance)


def _group(tree: Any, g: Array, size: int) -> Any:
    return jax.tree.map(
        lambda leaf: lax.dynamic_slice_in_dim(leaf, g * size, size), tree
    )


def transformer_velocity(
    network: FlowTransformer, motion: Array, time: Array, condition: Any
) -> Array:
    """The flow transformer's velocity, in the form that `integrate` takes."""
    return network.velocity(motion, time, condition)


@partial(jax.jit, static_argnames=("plan", "steps", "guided"))
def sample_motion(
    network: FlowTransformer,
    statistics: MotionStatistics,
    features: Float[Array, "features a"],
    key: PRNGKeyArray,
    count: Int[Array, ""],
    guidance: Float[Array, ""],
    *,
    plan: WindowPlan,
    steps: int,
    guided: bool,
) -> Float[Array, "frames d"]:
    """The motion of a clip at 30 frames a second, in its own units.

    Args:
      features: audio features, padded to `plan.features`.
      count: of the windows in use.
    """
    windows = jnp.asarray(plan.feature_index)
    null = network.encode_null()

    def encode_group(g: Array, encoded: Any) -> Any:
        fresh = network.encode_audio(features[_group(windows, g, plan.group)])
        return jax.tree.map(partial(_put_group, g), encoded, fresh)

    empty = jax.tree.map(
        lambda leaf: jnp.zeros((plan.capacity, *leaf.shape[1:]), leaf.dtype), null
    )
    conditions = lax.fori_loop(
        0, (count + plan.group - 1) // plan.group, encode_group, empty
    )
    noise = frame_noise(key, plan.frames, network.config.motion_width)
    motion = integrate(
        transformer_velocity,
        network,
        noise,
        conditions,
        null,
        count,
        guidance,
        plan=plan,
        steps=steps,
        guided=guided,
    )
    return denormalize(motion, statistics)


def _put_group(g: Array, whole: Array, part: Array) -> Array:
    return lax.dynamic_update_slice_in_dim(whole, part, g * part.shape[0], 0)


def resample_motion(
    motion: Float[np.ndarray, "frames d"], fps: float, count: int
) -> Float[np.ndarray, "count d"]:
    """Motion at 30 frames a second -> `count` frames at `fps`, interpolated linearly,
    the ends held."""
    position = np.minimum(np.arange(count) * (MOTION_FPS / fps), motion.shape[0] - 1)
    lower = np.floor(position).astype(int)
    upper, weight = (
        np.minimum(lower + 1, motion.shape[0] - 1),
        (position - lower).astype(np.float32)[:, None],
    )
    return motion[lower] * (1 - weight) + motion[upper] * weight
