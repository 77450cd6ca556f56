"""Golden outputs of the LMDM's layers: the recipe's inputs, run through our network."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from convert_weights.ditto.recipe import DittoRecipe
from convert_weights.outputs import Outputs
from jaxportrait.models.film_transformer import turn
from jaxportrait.models.lmdm import (
    LMDM,
    TIME_TOKENS,
    MotionCondition,
    time_waves,
)
from jaxportrait.ops.ddim import alpha_bars, noise_factors
from jaxportrait.ops.flow import guide

BATCH = 2


class LayerInputs(NamedTuple):
    """The recipe's inputs of the network."""

    motion: Array
    earlier: Array
    condition: Array
    time: Array


def run_layers(recipe: DittoRecipe, network: LMDM, size: str) -> Outputs:
    """Yield every golden output of `layers.npz` of a size."""
    config = network.config
    inputs = read_inputs(recipe, size)
    # One program a branch: eager layers take much longer.
    conditional = jax.jit(run_conditional)(network, inputs)
    null = jax.jit(run_null)(network, inputs)
    outputs = {f"given/{name}": value for name, value in conditional.items()}
    outputs |= {f"null/{name}": value for name, value in null.items()}
    shape = (1, config.frames + TIME_TOKENS, config.width)
    rows = jnp.asarray(recipe.input(f"{size}/rotary", shape))
    outputs["rotary"] = turn(rows, network.rotary)
    clean = guide(conditional["output"], null["output"], recipe.guidance(size))
    outputs["guided/x_start"] = clean
    outputs["guided/pred_noise"] = noise_between(inputs, clean)
    for name, value in outputs.items():
        yield f"{size}/{name}", value


def read_inputs(recipe: DittoRecipe, size: str) -> LayerInputs:
    """Return the recipe's inputs of a size, as its page describes them."""
    config = recipe.config(size)
    motion = (BATCH, config.frames, config.motion_width)
    earlier = (BATCH, config.motion_width)
    condition = (BATCH, config.frames, config.condition_width)
    times = recipe.component(size)["config"]["times"]
    return LayerInputs(
        jnp.asarray(recipe.input(f"{size}/x", motion)),
        jnp.asarray(recipe.input(f"{size}/cond_frame", earlier, 0.5)),
        jnp.asarray(recipe.input(f"{size}/cond", condition, 0.5)),
        jnp.asarray(times),
    )


def noise_between(inputs: LayerInputs, clean: Array) -> Array:
    """Return the noise that clean motion leaves in the noisy motion.

    Args:
      inputs: noisy motion and the step of each row.
      clean: predicted motion.
    """
    # One factor a row, against frames and values.
    bars = alpha_bars()[np.asarray(inputs.time)]
    from_state, from_clean = noise_factors(bars[:, None, None])
    return jnp.asarray(from_state) * inputs.motion - jnp.asarray(from_clean) * clean


def run_conditional(network: LMDM, inputs: LayerInputs) -> dict[str, Array]:
    """Return the outputs of the layers that read a condition."""
    outputs = {}
    encoded = network.condition_in(inputs.condition)
    outputs["condition"] = encoded
    rotary = network.rotary[: network.config.frames]
    # Block by block, as the network's own `encode_condition` does.
    for i, block in enumerate(network.encoder):
        encoded = block(encoded, rotary)
        outputs[f"encoder{i}"] = encoded
    outputs["pooled"] = network.pool(encoded)
    outputs["input"] = network.embed_motion(inputs.motion, inputs.earlier)
    embedding = network.embed_time(inputs.time)
    outputs["sinusoid"] = time_waves(inputs.time, network.config.width)
    outputs["time"] = embedding
    outputs["time_tokens"] = network.token_rows(embedding)
    condition = network.encode_condition(inputs.condition)
    return outputs | run_decoder(network, inputs, condition, encoded)


def run_null(network: LMDM, inputs: LayerInputs) -> dict[str, Array]:
    """Return the outputs of the layers that differ without a condition."""
    null = network.encode_null()

    def repeat(leaf: Array) -> Array:
        return jnp.repeat(leaf, BATCH, axis=0)

    # The same for every row of the batch.
    condition = jax.tree.map(repeat, null)
    encoded = repeat(network.null_condition[...])
    return run_decoder(network, inputs, condition, encoded)


def run_decoder(
    network: LMDM, inputs: LayerInputs, condition: MotionCondition, encoded: Array
) -> dict[str, Array]:
    """Return the outputs of the blocks over motion, one after the other.

    Args:
      condition: keys, values and vector of the condition.
      encoded: encoded frames of the condition.
    """
    outputs: dict[str, Any] = {}
    embedding = network.embed_time(inputs.time)
    tokens = network.token_rows(embedding)
    rows = jnp.concatenate([encoded, tokens], axis=1)
    outputs["memory"] = network.memory_norm(rows)
    vector = network.time_vector(embedding) + condition.pooled
    outputs["time_vector"] = vector
    step = jax.nn.mish(vector)
    # Stored with an axis of frames.
    outputs["film1"] = network.blocks[0].attention_film.linear(step)[:, None]
    outputs["film3"] = network.blocks[1].mlp_film.linear(step)[:, None]
    x = network.embed_motion(inputs.motion, inputs.earlier)
    rotary = network.rotary[: network.config.frames]
    for i, block in enumerate(network.blocks):
        # Keys and values of frames and tokens in one.
        memory = block.cross_attention.memory(outputs["memory"], network.rotary)
        x = block(x, step, memory, rotary)
        outputs[f"layer{i}"] = x
    # The network itself, whose keys and values are computed in two parts.
    outputs["output"] = network.denoise(
        inputs.motion, inputs.earlier, network.encode_step(inputs.time), condition
    )
    return outputs
