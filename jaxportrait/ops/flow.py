"""Conditional flow matching: a straight path from noise (time 0) to motion (time 1).

Source: Lipman et al., "Flow matching for generative modeling", 2023.
"""

import numpy as np
from jaxtyping import Array, Float


def interpolate(
    noise: Float[Array, "n *d"], data: Float[Array, "n *d"], time: Float[Array, " n"]
) -> Float[Array, "n *d"]:
    """Return the point at `time` on the straight path from `noise` to `data`."""
    time = time.reshape(-1, *(1,) * (data.ndim - 1))
    return (1 - time) * noise + time * data


def target_velocity(
    noise: Float[Array, "n *d"], data: Float[Array, "n *d"]
) -> Float[Array, "n *d"]:
    """Return the velocity of that path, the same at every time."""
    return data - noise


def guide(
    conditional: Array, unconditional: Array, scale: Float[Array, ""] | float
) -> Array:
    """Apply classifier-free guidance: 1 is the conditional velocity, 0 the other.

    Source: Ho and Salimans, "Classifier-free diffusion guidance", 2022.
    """
    return scale * conditional + (1 - scale) * unconditional


def euler_times(steps: int) -> Float[np.ndarray, " steps_and_one"]:
    """Return `steps + 1` times from 0 to 1, rounded as `torch.linspace` rounds them.

    Both halves are counted from their own end, with a float32 step h and one rounding:
    i * h below the middle, 1 - (steps - i) * h from there on.
    """
    step = np.float64(np.float32(1.0) / np.float32(steps))
    index = np.arange(steps + 1)
    from_start = index * step
    from_end = 1.0 - (steps - index) * step
    times = np.where(index < (steps + 1) // 2, from_start, from_end)
    return times.astype(np.float32)
