"""Denoising diffusion with a network that predicts the clean data.

Step t = 0 is the data, and t = T is noise: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) e.

Source: Ho et al., "Denoising diffusion probabilistic models", 2020; Lu et al.,
"DPM-Solver++", 2022; the cosine schedule of Nichol and Dhariwal, "Improved denoising
diffusion probabilistic models", 2021.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from jaxportrait.types import AnyArray, pytree

DEFAULT_STEPS = 20
"""Steps of sampling, of second order, that make motion as all 50 of the published
diffusion do; see docs/performance.md for the measurement."""
OFFSET = 0.008
"""Keeps the first steps of the cosine schedule from being too small."""
SPACING = 1.5
"""Power by which fewer steps lie closer near the data. Even steps lose a third of the
deviation of movement that is a tenth as large as the rest."""
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
    """Reverse steps, the noisiest first: x <- state x + clean x_0 + last x_0' + noise z.

    Attributes:
      number: step that the state is at before, t.
      state: factor of the state.
      clean: factor of the predicted data.
      last: factor of the data that the step before has predicted; 0 in the first one.
      noise: factor of fresh noise.
      data_share: sqrt(abar_t), the data's share of the state before.
      noise_share: sqrt(1 - abar_t).
    """

    number: Int[AnyArray, " s"]
    state: Float[AnyArray, " s"]
    clean: Float[AnyArray, " s"]
    last: Float[AnyArray, " s"]
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
    # The noisiest first.
    bars = schedule.alpha_bars[::-1]
    before = bars[:-1]
    after = bars[1:]
    alphas = schedule.alphas[:0:-1]
    sigmas = (
        flexibility * schedule.flexible_sigmas + (1 - flexibility) * schedule.sigmas
    )[:0:-1].copy()
    # The last step ends at the predicted data, without noise.
    sigmas[-1] = 0
    return _rounded(
        number=np.arange(len(before), 0, -1, dtype=np.int32),
        state=(1 - after) * np.sqrt(alphas) / (1 - before),
        clean=(1 - alphas) * np.sqrt(after) / (1 - before),
        last=np.zeros(len(before)),
        noise=sigmas,
        data_share=np.sqrt(before),
        noise_share=np.sqrt(1 - before),
    )


def multistep_steps(
    schedule: Schedule, count: int, *, order: int = 2, fresh: float = 1.0
) -> ReverseSteps:
    """Return `count` steps over the schedule, by DPM-Solver++.

    In the half log of the ratio of data to noise, l, the equation of the reverse process
    is linear but for the predicted data. A step solves it exactly for data that is
    constant (order 1), or that changes with l as since the last step (order 2).

    Args:
      order: 1 or 2. The first and the last step are of order 1.
      fresh: share of the published process's fresh noise. With order 1, 0 is DDIM, and
        1 are the ancestral steps of as many.

    Source: Lu et al., "DPM-Solver++", 2022, its 2M and SDE 2M forms.
    """
    numbers = sampled_numbers(len(schedule.betas) - 1, count)
    bars = schedule.alpha_bars[numbers].astype(np.float64)
    data = np.sqrt(bars)
    noise = np.sqrt(1 - bars)
    # exp(l - l'), which is 0 at the data.
    ratio = noise[1:] / data[1:] * (data[:-1] / noise[:-1])
    whole = data[1:] * (1 - ratio ** (1 + fresh))
    slope = _slopes(ratio) if order == 2 else np.zeros(count)
    return _rounded(
        number=numbers[:-1],
        state=noise[1:] / noise[:-1] * ratio**fresh,
        clean=whole * (1 + slope),
        last=-whole * slope,
        noise=noise[1:] * np.sqrt(1 - ratio ** (2 * fresh)),
        data_share=data[:-1],
        noise_share=noise[:-1],
    )


def sampled_numbers(steps: int, count: int) -> Int[np.ndarray, " count_and_one"]:
    """Return the steps at which `count` steps of sampling start, and 0 at the end.

    They lie closer near the data, where fine movement is decided.
    """
    index = np.arange(count, -1, -1)
    spread = np.floor(steps * (index / count) ** SPACING + 0.5)
    # No step twice: near the data every one counts.
    return np.maximum(spread, index).astype(np.int32)


def _slopes(ratio: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
    """Return how much of the last change of the data is added in each step: half of it
    for steps of equal width."""
    width = -np.log(ratio[:-1])
    slopes = np.zeros(len(ratio))
    # The last step has no end in l.
    slopes[1:-1] = width[1:] / (2 * width[:-1])
    return slopes


def reverse_steps(steps: int, count: int) -> ReverseSteps:
    """Return `count` steps of a diffusion of `steps`: all of them as published, or
    fewer of second order.

    Raises:
      ValueError: more steps than the diffusion has.
    """
    if not 1 <= count <= steps:
        raise ValueError(f"steps is {count}: choose from 1 to {steps}")
    schedule = cosine_schedule(steps)
    if count == steps:
        return ancestral_steps(schedule)
    return multistep_steps(schedule, count)


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


def _rounded(
    number: Int[np.ndarray, " s"], **factors: Float[np.ndarray, " s"]
) -> ReverseSteps:
    rounded = {name: values.astype(np.float32) for name, values in factors.items()}
    return ReverseSteps(number, **rounded)
