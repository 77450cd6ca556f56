"""Golden schedule and trajectories of Ditto's sampling."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from convert_weights.ditto.recipe import DittoRecipe
from convert_weights.outputs import Outputs
from jaxportrait.drivers.ditto_program import (
    GuidedLMDM,
    denoise_window,
    encode_null,
    sample_window,
)
from jaxportrait.models.lmdm import LMDM
from jaxportrait.ops.ddim import (
    alpha_bars,
    ddim_factors,
    ddim_steps,
    noise_factors,
    sampling_times,
)


def run_schedule(names: list[str]) -> Outputs:
    """Yield the figures of the schedule: the tables, and the factors of each number of
    steps among the names."""
    bars = alpha_bars()
    from_state, from_clean = noise_factors(bars)
    yield "schedule/alphas_cumprod", bars
    yield "schedule/sqrt_recip1m_alphas_cumprod", from_state
    yield "schedule/sqrt_recipm1_alphas_cumprod", 1 / from_clean
    counts = [name.split("/")[1] for name in names if name.endswith("/times")]
    for count in counts:
        factors = ddim_factors(int(count))
        yield f"schedule/{count}/times", sampling_times(int(count))
        # The last step's are no part of the published tables.
        yield f"schedule/{count}/sigma", factors.fresh[:-1]
        yield f"schedule/{count}/c", factors.noise[:-1]
        yield f"schedule/{count}/sqrt_alpha_next", factors.clean[:-1]


def run_trajectories(
    recipe: DittoRecipe, network: LMDM, size: str, names: list[str]
) -> Outputs:
    """Yield the states of a window before some steps, and its motion.

    Args:
      names: golden names, such as `small/sample6/before3` and `small/sample6/final`.
    """
    config = network.config
    model = GuidedLMDM(network, encode_null(network), recipe.guidance(size))
    shape = (1, config.frames, config.motion_width)
    initial = jnp.asarray(recipe.input(f"{size}/sample/initial", shape)[0])
    width = (1, config.motion_width)
    earlier = jnp.asarray(recipe.input(f"{size}/sample/cond_frame", width, 0.5)[0])
    shape = (1, config.frames, config.condition_width)
    values = jnp.asarray(recipe.input(f"{size}/sample/cond", shape, 0.5)[0])
    for name in names:
        _, sample, moment = name.split("/")
        steps = int(sample.removeprefix("sample"))
        fresh = recipe.fresh_noise(size, steps)
        if moment == "final":
            motion = sample_window(
                model, values, earlier, initial, fresh, steps=steps, guided=True
            )
        else:
            done = int(moment.removeprefix("before"))
            motion = state_after(
                model, values, earlier, initial, fresh, steps=steps, done=done
            )
        yield name, motion[None]


@partial(jax.jit, static_argnames=("steps", "done"))
def state_after(
    model: GuidedLMDM,
    values: Array,
    earlier: Array,
    initial: Array,
    fresh: Array,
    *,
    steps: int,
    done: int,
) -> Array:
    """Return the state after the first steps of a window; see `sample_window`."""
    rows = jax.tree.map(lambda factor: factor[:done], ddim_steps(steps))
    return denoise_window(model, values, earlier, initial, fresh, rows, guided=True)
