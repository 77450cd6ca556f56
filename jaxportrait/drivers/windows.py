"""Overlapping windows of motion: plans, noise, and the blending of what they predict.

The state is ONE array of frames. Every step of a sampler predicts each window, blends
what overlapping windows predict for a frame, and then updates. Windows agree while they
are being made, so that no border is ever seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

WindowMode = Literal["fused", "independent"]
"""The windows that a plan may have."""


class WindowSizes(Protocol):
    """Sizes of a network that makes motion in windows.

    Attributes:
      motion_frames: frames of one window.
      audio_frames: audio features of one window.
      overlap: frames that a fused window shares with the next one.
    """

    @property
    def motion_frames(self) -> int: ...

    @property
    def audio_frames(self) -> int: ...

    @property
    def overlap(self) -> int: ...


GROUP = 16
"""Windows that an accelerator evaluates at once, where there are so many; guidance
doubles the rows.

At the flow transformer's published width the result of a product has 35 tiles of 128 x
128 with 4 windows and 140 with 16; an H100 makes 132 at a time.
"""
GROUP_FRAMES_ON_CPU = 128
"""Frames of the windows that a CPU evaluates at once: more gain no speed, and a clip
whose windows do not fill the last group wastes time.
"""


@dataclass(frozen=True)
class WindowPlan:
    """Windows over a clip of up to `frames` frames.

    Plans are static, so that clips of one plan share a program.

    Attributes:
      capacity: windows there is room for; a multiple of `group`.
      motion_frames: frames of a window.
      audio_frames: audio features of a window.
      stride: frames from one window's start to the next one's.
      group: windows that are evaluated at once.
    """

    capacity: int
    motion_frames: int
    audio_frames: int
    stride: int
    group: int

    @property
    def frames(self) -> int:
        """The frames that all windows cover."""
        return self.stride * (self.capacity - 1) + self.motion_frames

    @property
    def features(self) -> int:
        """The audio features that all windows read."""
        return self.features_of(self.capacity)

    def feature_start(self, window: int) -> int:
        """Return the audio feature at which a window starts."""
        # Divided last, so that rounding does not add up over windows.
        return window * self.stride * self.audio_frames // self.motion_frames

    def features_of(self, count: int) -> int:
        """Return how many audio features the first `count` windows read."""
        return self.feature_start(count - 1) + self.audio_frames

    @property
    def frame_index(self) -> Int[np.ndarray, "capacity motion_frames"]:
        starts = np.arange(self.capacity) * self.stride
        return starts[:, None] + np.arange(self.motion_frames)[None, :]

    @property
    def feature_index(self) -> Int[np.ndarray, "capacity audio_frames"]:
        windows = range(self.capacity)
        starts = np.array([self.feature_start(window) for window in windows])
        return starts[:, None] + np.arange(self.audio_frames)[None, :]


def plan_windows(
    frames: int,
    config: WindowSizes,
    mode: WindowMode = "fused",
    *,
    group: int | None = None,
) -> tuple[WindowPlan, int]:
    """Return the plan of a clip, and how many of its windows cover the clip's frames.

    Capacities double, so that clips of any length need few programs.

    Args:
      frames: length of the clip.
      config: sizes of the network's windows.
      mode: "fused" windows overlap and are blended; "independent" ones lie end to end,
        as in the original.
      group: a power of two, by default what suits the device; a shorter clip's windows
        are one group.
    """
    # The first window reaches `length` frames, and each further one `stride` more.
    length = config.motion_frames
    if group is None:
        group = group_size(length)
    stride = length - config.overlap if mode == "fused" else length
    # -(-a // b) rounds up.
    count = 1 + max(0, -(-(frames - length) // stride))
    # The next power of two.
    capacity = 1 << (count - 1).bit_length()
    group = min(group, capacity)
    plan = WindowPlan(capacity, length, config.audio_frames, stride, group)
    return plan, count


def group_size(frames: int) -> int:
    """Return how many windows of so many frames suit the device, a power of two."""
    if jax.default_backend() != "cpu":
        return GROUP
    fitting = max(1, GROUP_FRAMES_ON_CPU // frames)
    # The power of two at or below it.
    return 1 << (fitting.bit_length() - 1)


def plans_up_to(
    frames: int, config: WindowSizes, mode: WindowMode = "fused"
) -> list[WindowPlan]:
    """Return every plan that a clip of at most so many frames can have, the smallest
    first."""
    largest, _ = plan_windows(frames, config, mode)
    plans = []
    for doubling in range(largest.capacity.bit_length()):
        capacity = 1 << doubling
        group = min(largest.group, capacity)
        plans.append(replace(largest, capacity=capacity, group=group))
    return plans


def frame_noise(
    key: PRNGKeyArray, frames: int, width: int, *, start: Int[Array, ""] | int = 0
) -> Float[Array, "frames width"]:
    """Draw standard normal noise frame by frame.

    A frame has the same noise in every clip and window that holds it.

    Args:
      key: the clip's key.
      frames: how many frames to draw.
      width: values of a frame.
      start: index of the first frame; frames before the clip have negative ones.
    """
    # One draw for all frames would depend on how many there are.
    indices = start + jnp.arange(frames)
    keys = jax.vmap(partial(jax.random.fold_in, key))(indices)
    return jax.vmap(lambda frame_key: jax.random.normal(frame_key, (width,)))(keys)


def blend_weights(
    plan: WindowPlan, count: Int[Array, ""]
) -> Float[Array, "capacity motion_frames"]:
    """Return the weight of each window at each of its frames.

    The weights of a frame sum to one. Windows that overlap are weighted by triangles.

    Args:
      plan: the windows.
      count: windows in use; the others have no weight.
    """
    # Triangles: a window counts most in its middle, where it knows both sides.
    rising = np.arange(1, plan.motion_frames + 1, dtype=np.float32)
    overlapping = plan.stride < plan.motion_frames
    shape = np.minimum(rising, rising[::-1]) if overlapping else np.ones_like(rising)
    used = (jnp.arange(plan.capacity) < count).astype(jnp.float32)
    weights = used[:, None] * jnp.asarray(shape)[None, :]
    total = jnp.zeros((plan.frames,)).at[plan.frame_index].add(weights)
    # Frames of unused windows have a total of 0.
    return weights / jnp.maximum(total, 1e-6)[plan.frame_index]


def blend_windows(
    predict: Callable[[Array], Float[Array, "group t d"]],
    state: Float[Array, "frames d"],
    weights: Float[Array, "capacity t"],
    count: Int[Array, ""],
    plan: WindowPlan,
) -> Float[Array, "frames d"]:
    """Return what windows predict for each frame, blended where they overlap.

    Args:
      predict: returns the prediction of each window of a group, by its number.
      state: the frames; only its shape is used.
      weights: result of `blend_weights`.
      count: windows in use; groups beyond them are skipped.
      plan: the windows.
    """
    index = jnp.asarray(plan.frame_index)

    # Overlapping windows add up to a blend, since their weights sum to one.
    def add_group(g: Array, total: Array) -> Array:
        rows = group_of(index, g, plan.group)
        weight = group_of(weights, g, plan.group)
        return total.at[rows].add(predict(g) * weight[..., None])

    groups = group_count(plan, count)
    return lax.fori_loop(0, groups, add_group, jnp.zeros_like(state))


def map_groups(
    function: Callable[[Array], Any], count: Int[Array, ""], plan: WindowPlan
) -> Any:
    """Return a function's arrays for every window of the plan.

    Args:
      function: returns arrays with a row for each window of a group, by its number.
      count: windows in use; groups beyond them are skipped, so that theirs stay 0.
      plan: the windows.
    """

    def put(g: Array, whole: Array, rows: Array) -> Array:
        return lax.dynamic_update_slice_in_dim(whole, rows, g * plan.group, 0)

    def map_group(g: Array, whole: Any) -> Any:
        return jax.tree.map(partial(put, g), whole, function(g))

    # Shapes are found without evaluating the network.
    shapes = jax.eval_shape(function, jnp.asarray(0))
    empty = jax.tree.map(
        lambda leaf: jnp.zeros((plan.capacity, *leaf.shape[1:]), leaf.dtype), shapes
    )
    return lax.fori_loop(0, group_count(plan, count), map_group, empty)


def group_count(plan: WindowPlan, count: Int[Array, ""]) -> Int[Array, ""]:
    """Return how many groups hold the first `count` windows."""
    return (count + plan.group - 1) // plan.group


def group_of(tree: Any, g: Array, size: int) -> Any:
    """Return the rows of group `g` of every array."""
    return jax.tree.map(
        lambda leaf: lax.dynamic_slice_in_dim(leaf, g * size, size), tree
    )
