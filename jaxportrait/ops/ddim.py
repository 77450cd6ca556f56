"""Ditto's diffusion: 1000 steps of a cosine schedule, sampled in fewer by DDIM with
fresh noise.

Source: Song et al., "Denoising diffusion implicit models", 2021, at eta 1; the cosine
schedule of Nichol and Dhariwal, "Improved denoising diffusion probabilistic models",
2021.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Float32, Int

from jaxportrait.types import AnyArray, pytree

STEPS = 1000
"""Steps of the diffusion that the network was trained on."""
OFFSET = 0.008
"""Keeps the first steps of the cosine schedule from being too small."""
LARGEST_BETA = 0.999


@pytree
@dataclass(frozen=True)
class DDIMSteps:
    """Steps of sampling, the noisiest first.

    Noise e of a state x with the clean data x_0 is `from_state` x - `from_clean` x_0,
    and the next state is `clean` x_0 + `noise` e + `fresh` z, with fresh noise z.

    Attributes:
      time: step of the diffusion that the state is at.
      clean: sqrt(abar') of the next step.
      noise: k, the share of the noise that is kept.
      fresh: sigma, the share of fresh noise; 0 in the last step.
      from_state: sqrt(1 / (1 - abar)).
      from_clean: 1 / sqrt(1 / abar - 1).
    """

    time: Int[AnyArray, " s"]
    clean: Float[AnyArray, " s"]
    noise: Float[AnyArray, " s"]
    fresh: Float[AnyArray, " s"]
    from_state: Float[AnyArray, " s"]
    from_clean: Float[AnyArray, " s"]

    def __len__(self) -> int:
        return len(self.time)


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


def ddim_steps(count: int) -> DDIMSteps:
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
    from_state, from_clean = noise_factors(before)
    return DDIMSteps(
        time=np.ascontiguousarray(times[:-1]),
        clean=np.sqrt(after),
        noise=np.sqrt(np.maximum(rest, 0)),
        fresh=sigma,
        from_state=from_state,
        from_clean=from_clean,
    )


def noise_factors(
    bars: Float32[np.ndarray, " s"],
) -> tuple[Float32[np.ndarray, " s"], Float32[np.ndarray, " s"]]:
    """Return the factors of a state and of clean data in the noise between them.

    Args:
      bars: the data's share of the variance in the state.
    """
    one = np.float32(1)
    return np.sqrt(one / (one - bars)), one / np.sqrt(one / bars - one)


def advance(step: DDIMSteps, state: Array, clean: Array, fresh: Array) -> Array:
    """Return the state after one step.

    Args:
      step: the factors of the step, each a scalar.
      state: noisy data.
      clean: predicted data.
      fresh: standard normal noise.
    """
    noise = step.from_state * state - step.from_clean * clean
    return step.clean * clean + step.noise * noise + step.fresh * fresh
