"""Low-rank adapters of a denoiser."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from tests.train.diffusion.worlds import CONFIG, make_batch, step_config
from train.diffusion.stage import diffusion_program
from train.diffusion.step import validation_loss
from train.engine.adapters import merge_adapters, scale_adapters
from train.engine.config import LoraConfig
from train.engine.mesh import make_mesh

LORA = LoraConfig(rank=2, alpha=16.0)


def test_adapters_of_a_denoiser_compute_what_they_are_merged_to():
    step = step_config(replace(CONFIG, lora=LORA))
    state = diffusion_program(step, {}).on(make_mesh(1)).initial_state()
    layers = ("attention.qkv", "attention.out", "audio_value", "audio_out")
    kernels = {
        f"motion_diffusion.blocks.{block}.{layer}.kernel"
        for block in range(2)
        for layer in (*layers, "expand", "project")
    }
    assert {name.rpartition(".lora_")[0] for name in state.params} == kernels
    # New adapters change nothing: these are drawn.
    rng = np.random.default_rng(0)
    adapters = {
        name: jnp.float32(0.3 * rng.standard_normal(leaf.shape))
        for name, leaf in state.params.items()
    }
    whole = state.fixed | adapters
    error = partial(jax.jit(partial(validation_loss, step, {})), batch=make_batch(step))
    attached = error(scale_adapters(whole, LORA))
    merged = merge_adapters(whole, LORA)
    assert merged.keys() == state.fixed.keys()
    np.testing.assert_allclose(attached, error(merged), rtol=1e-5)
    assert abs(attached - error(state.fixed)) > 1e-3
