"""Conditional flow matching: a straight path from noise (time 0) to data (time 1).

Source: Lipman et al., "Flow matching for generative modeling", 2023.
"""

import numpy as np
from jaxtyping import Array, Float


def interpolate(
    noise: Float[Array, "n *d"], data: Float[Array, "n *d"], time: Float[Array, " n"]
) -> Float[Array, "n *d"]:
    """Return the point at `time` on the straight path from `noise` to `data`.

    Args:
      noise: start of the path.
      data: end of the path.
      time: one per row, or one for all rows.
    """
    # One time a row, against all further axes.
    time = time.reshape(-1, *(1,) * (data.ndim - 1))
    return (1 - time) * noise + time * data


def target_velocity(
    noise: Float[Array, "n *d"], data: Float[Array, "n *d"]
) -> Float[Array, "n *d"]:
    """Return the velocity of the straight path, which is the same at every time."""
    return data - noise


def guide(
    conditional: Array, unconditional: Array, scale: Float[Array, ""] | float
) -> Array:
    """Return `scale * conditional + (1 - scale) * unconditional`.

    Source: Ho and Salimans, "Classifier-free diffusion guidance", 2022.
    """
    return scale * conditional + (1 - scale) * unconditional


def guide_further(
    guided: Array,
    further: Array,
    conditional: Array,
    scale: Float[Array, ""] | float,
) -> Array:
    """Return `guided + scale * (further - conditional)`: guidance by a second condition.

    With `guided` = v(0, 0) + s1 (v(c1, 0) - v(0, 0)), the result is that plus
    s2 (v(c1, c2) - v(c1, 0)).

    Args:
      guided: prediction that the first condition guides.
      further: prediction with both conditions.
      conditional: prediction with the first condition only.
      scale: scale of the second condition.

    Source: Brooks et al., "InstructPix2Pix", 2023, equation 3.
    """
    return guided + scale * (further - conditional)


def euler_times(steps: int) -> Float[np.ndarray, " steps_and_one"]:
    """Return `steps + 1` float32 times from 0 to 1, rounded as by `torch.linspace`.

    Both halves are counted from their own end, with a float32 step h and one rounding:
    i * h below the middle, 1 - (steps - i) * h from there on.
    """
    # The step is rounded to float32; products with it are rounded only at the end.
    step = np.float64(np.float32(1.0) / np.float32(steps))
    index = np.arange(steps + 1)
    rising = index * step
    falling = 1.0 - (steps - index) * step
    first_half = index < (steps + 1) // 2
    return np.where(first_half, rising, falling).astype(np.float32)
