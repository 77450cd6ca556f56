"""Denoising diffusion with a network that predicts the clean data.

Step t = 0 is the data, and t = T is noise: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) e.

Source: Ho et al., "Denoising diffusion probabilistic models", 2020; Song et al.,
"Denoising diffusion implicit models", 2021; the cosine schedule of Nichol and Dhariwal,
"Improved denoising diffusion probabilistic models", 2021.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from jaxportrait.types import AnyArray, pytree

OFFSET = 0.008
"""Keeps the first steps of the cosine schedule from being too small."""
LEAST_BETA = 1e-4
LARGEST_BETA = 0.999


@dataclass(frozen=True)
class Schedule:
    """Tables over the steps 0 to T, in float32; index 0 is the data.

    Attributes:
      betas: variance that a step adds.
      alphas: 1 - betas.
      alpha_bars: share of the data's variance, the product of the alphas.
      flexible_sigmas: deviation of a reverse step, at most: sqrt(beta).
      sigmas: deviation of a reverse step, at least: that of the posterior.
    """

    betas: Float32[np.ndarray, " steps_and_one"]
    alphas: Float32[np.ndarray, " steps_and_one"]
    alpha_bars: Float32[np.ndarray, " steps_and_one"]
    flexible_sigmas: Float32[np.ndarray, " steps_and_one"]
    sigmas: Float32[np.ndarray, " steps_and_one"]


@pytree
@dataclass(frozen=True)
class ReverseSteps:
    """Reverse steps, the noisiest first: x <- state x + clean x_0 + noise z.

    Attributes:
      number: step that the state is at before, t.
      state: factor of the state.
      clean: factor of the predicted data.
      noise: factor of fresh noise.
      data_share: sqrt(abar_t), the data's share of the state before.
      noise_share: sqrt(1 - abar_t).
    """

    number: Int[AnyArray, " s"]
    state: Float[AnyArray, " s"]
    clean: Float[AnyArray, " s"]
    noise: Float[AnyArray, " s"]
    data_share: Float[AnyArray, " s"]
    noise_share: Float[AnyArray, " s"]


def cosine_schedule(steps: int) -> Schedule:
    """Return the cosine schedule of so many steps, rounded as by PyTorch."""
    # float32 throughout: near the last step a rounded angle is another beta.
    share = np.arange(steps + 1, dtype=np.float32) / np.float32(steps)
    angles = (share + np.float32(OFFSET)) / np.float32(1 + OFFSET)
    angles = angles * np.float32(np.pi) / np.float32(2)
    decay = np.cos(angles) ** 2
    # The first step adds nothing: it is the data.
    betas = np.zeros(steps + 1, np.float32)
    betas[1:] = np.clip(1 - decay[1:] / decay[:-1], LEAST_BETA, LARGEST_BETA)
    alphas = np.float32(1) - betas
    alpha_bars = np.exp(np.cumsum(np.log(alphas), dtype=np.float32))
    sigmas = np.zeros(steps + 1, np.float32)
    shrinkage = (1 - alpha_bars[:-1]) / (1 - alpha_bars[1:])
    sigmas[1:] = np.sqrt(shrinkage * betas[1:])
    return Schedule(betas, alphas, alpha_bars, np.sqrt(betas), sigmas)


def ancestral_steps(schedule: Schedule, flexibility: float = 0.0) -> ReverseSteps:
    """Return every step of the schedule, each with fresh noise.

    Args:
      flexibility: share of the larger deviation, sqrt(beta), in that of the noise.
    """
    bars = schedule.alpha_bars
    before = bars[1:]
    after = bars[:-1]
    alphas = schedule.alphas[1:]
    sigmas = (
        flexibility * schedule.flexible_sigmas + (1 - flexibility) * schedule.sigmas
    )[1:]
    # The last step ends at the predicted data, without noise.
    sigmas[0] = 0
    return _descending(
        number=np.arange(1, len(bars), dtype=np.int32),
        state=(1 - after) * np.sqrt(alphas) / (1 - before),
        clean=(1 - alphas) * np.sqrt(after) / (1 - before),
        noise=sigmas,
        data_share=np.sqrt(before),
        noise_share=np.sqrt(1 - before),
    )


def implicit_steps(schedule: Schedule, count: int) -> ReverseSteps:
    """Return `count` steps evenly over the schedule, without fresh noise (DDIM)."""
    last = len(schedule.betas) - 1
    # Rising, from 0; -(-a // b) rounds up, so that all steps differ.
    numbers = np.array([-(-last * i // count) for i in range(count + 1)], np.int32)
    bars = schedule.alpha_bars[numbers]
    before = bars[1:]
    after = bars[:-1]
    state = np.sqrt((1 - after) / (1 - before))
    return _descending(
        number=numbers[1:],
        state=state,
        clean=np.sqrt(after) - state * np.sqrt(before),
        noise=np.zeros(count),
        data_share=np.sqrt(before),
        noise_share=np.sqrt(1 - before),
    )


def reverse_steps(steps: int, count: int) -> ReverseSteps:
    """Return `count` steps of a diffusion of `steps`: all of them as published, with
    fresh noise, or fewer without.

    Raises:
      ValueError: more steps than the diffusion has.
    """
    if not 1 <= count <= steps:
        raise ValueError(f"steps is {count}: choose from 1 to {steps}")
    schedule = cosine_schedule(steps)
    if count == steps:
        return ancestral_steps(schedule)
    return implicit_steps(schedule, count)


def add_noise(
    data: Float[Array, "n *d"],
    noise: Float[Array, "n *d"],
    step: Int[Array, " n"],
    schedule: Schedule,
) -> Float[Array, "n *d"]:
    """Return the noisy data at a step of the diffusion, one a row."""
    # One share a row, against all further axes.
    share = jnp.asarray(schedule.alpha_bars)[step]
    share = share.reshape(-1, *(1,) * (data.ndim - 1))
    return jnp.sqrt(share) * data + jnp.sqrt(1 - share) * noise


def _descending(
    number: Int[np.ndarray, " s"], **factors: Float[np.ndarray, " s"]
) -> ReverseSteps:
    reversed_factors = {
        name: np.ascontiguousarray(values[::-1], np.float32)
        for name, values in factors.items()
    }
    return ReverseSteps(np.ascontiguousarray(number[::-1]), **reversed_factors)
