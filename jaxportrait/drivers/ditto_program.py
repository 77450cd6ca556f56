"""The compiled programs by which the LMDM samples motion."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxportrait.drivers.denoise import Draw, denoise, hold_earlier
from jaxportrait.drivers.live_windows import LiveWindows, prefix_shares
from jaxportrait.drivers.windows import (
    WindowPlan,
    blend_weights,
    blend_windows,
    frame_noise,
    group_of,
    map_groups,
)
from jaxportrait.models.lmdm import LMDM, MotionCondition, StepTerms
from jaxportrait.ops.ddim import STEPS, ddim_steps
from jaxportrait.ops.diffusion import ReverseSteps
from jaxportrait.ops.flow import guide
from jaxportrait.types import pytree

HANDED_ON = 0.9
"""Share of its distance from the reference that the frame before a window keeps. A pose
that drifts by d from each window to the next stays within 10 d."""


@pytree
@dataclass(frozen=True)
class GuidedLMDM:
    """The LMDM with classifier-free guidance.

    Attributes:
      network: the LMDM.
      null: its condition of no condition, computed once a checkpoint.
      guidance: scale of the guidance.
    """

    network: LMDM
    null: MotionCondition
    guidance: Float[Array, ""]

    def __call__(
        self,
        motion: Float[Array, "n t d"],
        earlier: Float[Array, "n d"],
        step: StepTerms,
        condition: MotionCondition,
        *,
        guided: bool,
    ) -> Float[Array, "n t d"]:
        """Return the clean motion of windows.

        Args:
          motion: noisy motion of the windows.
          earlier: the frame of motion before each.
          step: the step of the diffusion, encoded.
          condition: conditions of the windows.
          guided: False evaluates only the prediction with the condition.
        """
        n = len(motion)
        if not guided:
            return self.network.denoise(motion, earlier, step, condition)

        def beside(conditional: Array, null: Array) -> Array:
            repeated = jnp.broadcast_to(null, (n, *null.shape[1:]))
            return jnp.concatenate([conditional, repeated])

        # Both branches are one batch.
        clean = self.network.denoise(
            jnp.concatenate([motion, motion]),
            jnp.concatenate([earlier, earlier]),
            step,
            jax.tree.map(beside, condition, self.null),
        )
        return guide(clean[:n], clean[n:], self.guidance)


@jax.jit
def encode_null(network: LMDM) -> MotionCondition:
    """Return the condition of no condition, which a checkpoint has once."""
    return network.encode_null()


@partial(jax.jit, static_argnames=("steps", "guided"))
def sample_window(
    model: GuidedLMDM,
    values: Float[Array, "t v"],
    earlier: Float[Array, " d"],
    initial: Float[Array, "t d"],
    fresh: Float[Array, "steps t d"],
    *,
    steps: int,
    guided: bool,
) -> Float[Array, "t d"]:
    """Return the motion of one window.

    Args:
      model: the LMDM and its guidance.
      values: frames of the condition.
      earlier: the frame of motion before the window.
      initial: noise before the first step.
      fresh: noise of each step, in their order; the last step uses none.
      steps: steps of the diffusion.
      guided: False evaluates only the prediction with the condition.
    """
    rows = ddim_steps(steps)
    return denoise_window(model, values, earlier, initial, fresh, rows, guided=guided)


def denoise_window(
    model: GuidedLMDM,
    values: Float[Array, "t v"],
    earlier: Float[Array, " d"],
    initial: Float[Array, "t d"],
    fresh: Float[Array, "steps t d"],
    rows: ReverseSteps,
    *,
    guided: bool,
) -> Float[Array, "t d"]:
    """Return the state of one window after these steps; see `sample_window`."""
    terms = encode_steps(model.network, rows)
    condition = model.network.encode_condition(values[None])

    def predict(state: Array, _: Array, number: Array) -> Array:
        step = step_of(terms, rows, number)
        clean = model(state[None], earlier[None], step, condition, guided=guided)
        return clean[0]

    def draw(number: Array) -> Array:
        return fresh[place_of(rows, number)]

    return denoise(predict, rows, initial, draw)


@partial(jax.jit, static_argnames=("plan", "steps", "guided"))
def sample_fused(
    model: GuidedLMDM,
    values: Float[Array, "frames v"],
    reference: Float[Array, " d"],
    key: PRNGKeyArray,
    count: Int[Array, ""],
    *,
    plan: WindowPlan,
    steps: int,
    guided: bool,
) -> Float[Array, "frames d"]:
    """Return the motion of overlapping windows, which are made together.

    The frame before a window is what the last step has predicted for it, blended and a
    little nearer to the reference.

    Args:
      model: the LMDM and its guidance.
      values: frames of the condition.
      reference: the frame before the first window, and in the first step before every
        window.
      key: decides the noise of every frame and step.
      count: windows in use.
      plan: the windows.
      steps: steps of the diffusion.
      guided: False evaluates only the prediction with the condition.
    """
    weights = blend_weights(plan, count)
    rows = jnp.asarray(plan.frame_index)
    conditions = encode_conditions(model.network, values, count, plan)
    numbers = ddim_steps(steps)
    terms = encode_steps(model.network, numbers)
    width = len(reference)

    def predict(state: Array, clean: Array, number: Array) -> Array:
        # The reference stands at the front, so that the frame before a window has the
        # number of the window's own first frame.
        padded = jnp.concatenate([reference[None], clean])
        step = step_of(terms, numbers, number)

        def predict_group(g: Array) -> Array:
            frames = group_of(rows, g, plan.group)
            condition = group_of(conditions, g, plan.group)
            earlier = hand_on(padded[frames[:, 0]], reference[None])
            return model(state[frames], earlier, step, condition, guided=guided)

        return blend_windows(predict_group, state, weights, count, plan)

    draw = frame_draw(key, plan.frames, width)
    initial = draw(jnp.asarray(STEPS))
    estimate = jnp.broadcast_to(reference, initial.shape)
    return denoise(predict, numbers, initial, draw, estimate=estimate)


def encode_conditions(
    network: LMDM,
    values: Float[Array, "frames v"],
    count: Int[Array, ""],
    plan: WindowPlan,
) -> MotionCondition:
    """Return the conditions of the plan's windows; those that are not in use are 0."""
    rows = jnp.asarray(plan.frame_index)

    def encode_group(g: Array) -> MotionCondition:
        return network.encode_condition(values[group_of(rows, g, plan.group)])

    return map_groups(encode_group, count, plan)


@partial(jax.jit, static_argnames=("windows", "steps", "guided"))
def sample_live(
    model: GuidedLMDM,
    values: Float[Array, "t v"],
    reference: Float[Array, " d"],
    key: PRNGKeyArray,
    history: Float[Array, "t d"],
    window: Int[Array, ""],
    *,
    windows: LiveWindows,
    steps: int,
    guided: bool,
) -> Float[Array, "t d"]:
    """Return the motion of a live window.

    Args:
      model: the LMDM and its guidance.
      values: frames of the condition.
      reference: the frame before the first window.
      key: decides the noise of every frame and step.
      history: motion of the window before.
      window: index of the window; the first one continues nothing.
      windows: the windows.
      steps: steps of the diffusion.
      guided: False evaluates only the prediction with the condition.
    """
    is_first = window == 0
    before = jnp.where(is_first, reference, history[windows.stride - 1])
    # Frames roll out at the start. Those that roll around have weight 0.
    moved = jnp.roll(history, -windows.stride, axis=0)
    shares = jnp.asarray(prefix_shares(windows), jnp.float32)
    weights = jnp.where(is_first, 0.0, shares)[:, None]
    start = window * windows.stride - windows.held
    frames, width = history.shape
    draw = frame_draw(key, frames, width, start)
    noise = draw(jnp.asarray(STEPS))
    condition = model.network.encode_condition(values[None])
    earlier = hand_on(before, reference)[None]
    rows = ddim_steps(steps)
    terms = encode_steps(model.network, rows)

    def predict(state: Array, _: Array, number: Array) -> Array:
        step = step_of(terms, rows, number)
        return model(state[None], earlier, step, condition, guided=guided)[0]

    hold = hold_earlier(noise, moved, weights)
    return denoise(predict, rows, noise, draw, constraint=hold)


def encode_steps(network: LMDM, rows: ReverseSteps) -> StepTerms:
    """Return what the network computes of every step, which no window changes."""
    return network.encode_step(jnp.asarray(rows.number))


def step_of(terms: StepTerms, rows: ReverseSteps, number: Int[Array, ""]) -> StepTerms:
    """Return the terms of one step, of batch 1."""
    index = place_of(rows, number)
    return jax.tree.map(lambda leaf: leaf[index][None], terms)


def place_of(rows: ReverseSteps, number: Int[Array, ""]) -> Int[Array, ""]:
    """Return the place of a step that the loop names by its number, which falls."""
    return jnp.searchsorted(-jnp.asarray(rows.number), -number)


def hand_on(frame: Float[Array, "*n d"], reference: Float[Array, "*n d"]) -> Array:
    """Return the frame before a window, as the network reads it.

    Args:
      frame: the motion's frame there.
      reference: the frame that it must not drift from.
    """
    return reference + HANDED_ON * (frame - reference)


def frame_draw(
    key: PRNGKeyArray, frames: int, width: int, start: Int[Array, ""] | int = 0
) -> Draw:
    """Return the noise of a step; a frame has its own, whatever window holds it.

    Args:
      start: number of the first frame.
    """

    def draw(number: Array) -> Array:
        return frame_noise(jax.random.fold_in(key, number), frames, width, start=start)

    return draw
