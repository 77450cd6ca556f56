"""Changes of the learning rate when a run is resumed.

The full rate may change, and the schedule of updates that are still to come. A schedule
that contradicts the updates that are done would describe another run.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from train.engine.config import ConfigError, OptimizerConfig, StageConfig
from train.engine.state import learning_rate

CLOSE = 1e-4
"""Relative difference of equal rates, which are computed in float32."""


def check_rates(saved: StageConfig, config: StageConfig, step: int) -> None:
    """Raise a ConfigError if an update before `step` would have had another share of
    the full rate."""
    before = shares(saved.optimizer, step)
    after = shares(config.optimizer, step)
    changed = np.flatnonzero(~np.isclose(before, after, rtol=CLOSE, atol=0))
    if not changed.size:
        return
    if changes_length(saved, config):
        raise ConfigError(
            f"the rate of this run falls as a cosine until update {saved.loop.steps}, and {step} updates are done: "
            f"choose {saved.loop.steps} steps again; to train longer, export the run and start a new one with "
            "--init"
        )
    # One update tells as much as all of them.
    first = changed[0]
    warmup = saved.optimizer.warmup_steps
    rise = np.minimum(1, (np.arange(step) + 1) / (warmup + 1))
    if np.allclose(before, rise, rtol=CLOSE, atol=0):
        advice = f"a new cosine has a cosine_start of {max(step, warmup)} or more"
    else:
        # The rate has fallen: a cosine would begin from the full one.
        advice = "for another schedule, start a new run from its weights: export, then --init"
    raise ConfigError(
        f"the learning rate of updates that are done cannot change: update {first} of {step} had "
        f"{before[first]:.3g} of it, and would have had {after[first]:.3g} now; warmup_steps, drops before "
        f"update {step}, a cosine that has begun and its steps stay as they were; {advice}"
    )


def changes_length(saved: StageConfig, config: StageConfig) -> bool:
    """Return whether a run is to differ only in the last update of its cosine."""
    length = config.optimizer.length
    optimizer = replace(saved.optimizer, length=length)
    same = replace(optimizer, learning_rate=config.optimizer.learning_rate)
    return length != saved.optimizer.length and same == config.optimizer


def shares(optimizer: OptimizerConfig, step: int) -> Float[np.ndarray, " step"]:
    """Return the rate of each of the first updates, as a share of the full one."""
    # Schedules take numbers and arrays of them; a constant one returns a number.
    updates = jnp.arange(step, dtype=jnp.float32)
    rates = jnp.broadcast_to(learning_rate(optimizer)(updates), updates.shape)
    return np.asarray(rates) / optimizer.learning_rate
