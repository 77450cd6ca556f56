"""Ditto's diffusion: 1000 steps of a cosine schedule, sampled in fewer by DDIM with
fresh noise.

Source: Song et al., "Denoising diffusion implicit models", 2021, at eta 1; the cosine
schedule of Nichol and Dhariwal, "Improved denoising diffusion probabilistic models",
2021.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int

from jaxportrait.ops.diffusion import LARGEST_BETA, OFFSET, ReverseSteps

STEPS = 1000
"""Steps of the diffusion that the network was trained on."""


class DDIMFactors(NamedTuple):
    """Published factors of steps of sampling, the noisiest first.

    The next state is `clean` x_0 + `noise` e + `fresh` z, with the predicted data x_0,
    the noise e that it leaves in the state, and fresh noise z.

    Attributes:
      time: step of the diffusion that the state is at.
      clean: sqrt(abar') of the next step.
      noise: k, the share of the noise that is kept.
      fresh: sigma, the share of fresh noise; 0 in the last step.
    """

    time: Int[np.ndarray, " s"]
    clean: Float32[np.ndarray, " s"]
    noise: Float32[np.ndarray, " s"]
    fresh: Float32[np.ndarray, " s"]


def alpha_bars() -> Float32[np.ndarray, " 1000"]:
    """Return the share of the data's variance at each step, rounded as by PyTorch."""
    share = np.arange(STEPS + 1) / STEPS
    decay = np.cos((share + OFFSET) / (1 + OFFSET) * np.pi / 2) ** 2
    betas = np.clip(1 - decay[1:] / decay[:-1], 0, LARGEST_BETA)
    alphas = np.float32(1) - betas.astype(np.float32)
    # The product is accumulated in float64, and every factor of it rounded.
    return np.cumprod(alphas.astype(np.float64)).astype(np.float32)


def sampling_times(count: int) -> Int[np.ndarray, " count_and_one"]:
    """Return the steps at which `count` steps of sampling start, and -1 at the end.

    They fall evenly from 999, cut to whole numbers.
    """
    # Both halves are counted from their own end, as by torch.linspace.
    width = np.float32(STEPS) / np.float32(count)
    index = np.arange(count + 1, dtype=np.float32)
    rising = np.float32(-1) + index * width
    falling = np.float32(STEPS - 1) - index[::-1] * width
    times = np.where(index < (count + 1) // 2, rising, falling)
    return times.astype(np.int32)[::-1]


def ddim_factors(count: int) -> DDIMFactors:
    """Return the factors of `count` steps, in float32 and the published order."""
    one = np.float32(1)
    bars = alpha_bars()
    times = sampling_times(count)
    before = bars[times[:-1]]
    # The last step ends at the clean data.
    after = np.append(bars[times[1:-1]], one)
    sigma = np.sqrt((one - before / after) * (one - after) / (one - before))
    # A difference of nearly equal numbers. In 3 steps rounding takes it below 0.
    rest = one - after - np.square(sigma)
    noise = np.sqrt(np.maximum(rest, 0))
    return DDIMFactors(times[:-1], np.sqrt(after), noise, sigma)


def ddim_steps(count: int) -> ReverseSteps:
    """Return `count` steps, each with fresh noise."""
    factors = ddim_factors(count)
    bars = alpha_bars()[factors.time]
    # The noise of a state is linear in the state and the data, and so is the step.
    from_state, from_clean = noise_factors(bars)
    return ReverseSteps(
        number=np.ascontiguousarray(factors.time),
        state=factors.noise * from_state,
        clean=factors.clean - factors.noise * from_clean,
        last=np.zeros(count, np.float32),
        noise=factors.fresh,
        data_share=np.sqrt(bars),
        noise_share=np.sqrt(np.float32(1) - bars),
    )


def noise_factors(
    bars: Float32[np.ndarray, "*s"],
) -> tuple[Float32[np.ndarray, "*s"], Float32[np.ndarray, "*s"]]:
    """Return the factors a and b of the noise a x - b x_0 between a state x and data
    x_0.

    Args:
      bars: the data's share of the variance in the state.
    """
    one = np.float32(1)
    return np.sqrt(one / (one - bars)), one / np.sqrt(one / bars - one)
