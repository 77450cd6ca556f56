"""Outputs of JoyVASA's networks and of their driver on the recipe's inputs, by the names
of the golden figures."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from convert_weights.joyvasa.cases import whole
from convert_weights.joyvasa.files import SCHEDULE
from convert_weights.joyvasa.recipe import JoyVASARecipe
from convert_weights.joyvasa.sampling import (
    GUIDANCE,
    Outputs,
    audio_frames,
    run_sequence,
    run_trajectory,
    run_variants,
)
from convert_weights.outputs import golden_waveform
from jaxportrait.checkpoint import Checkpoint
from jaxportrait.drivers.diffusion import DiffusionDriver, load_diffusion
from jaxportrait.drivers.diffusion_windows import Silence, count_windows
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.features.waveform import pad_window
from jaxportrait.models.hubert import HubertEncoder
from jaxportrait.models.motion_diffusion import MotionDiffusion, Positions, sinusoids
from jaxportrait.ops.diffusion import cosine_schedule

POSITIONS: tuple[Positions, ...] = ("constant", "sequence")
SILENCE = Silence(1_280, 640)
PUBLISHED_WINDOW = 100
PUBLISHED_RATE = 25.0
"""Frames of a published window, and a second."""
LONG_SCHEDULE = 500
ENDS = 128
"""Samples of a padded window that are stored of either end."""

Figures = Mapping[str, np.ndarray]


def run_joyvasa(
    recipe: JoyVASARecipe,
    figures: Figures,
    checkpoint: Checkpoint,
    size: str,
    dtype: str = "float32",
) -> Outputs:
    """Yield every output of a size, with a denoiser of this dtype."""
    driver = load_diffusion(checkpoint, dtype=dtype, full_precision=True)
    driver = driver.with_sampling(MotionSampling(GUIDANCE, windows="original"))
    yield from run_encoder(recipe, driver, size)
    if size == "small":
        yield from run_counts(figures)
        yield from run_schedule(f"schedule_{LONG_SCHEDULE}", LONG_SCHEDULE)
    yield from run_schedule(f"{size}/schedule", driver.sizes.steps)
    for positions in POSITIONS:
        network = with_positions(driver.network, positions)
        yield from run_denoiser(recipe, network, size)
        yield from run_trajectory(recipe, driver, network, size)
    if size == "small":
        yield from run_variants(recipe, driver)
    yield from run_sequence(recipe, driver, size)


def run_encoder(recipe: JoyVASARecipe, driver: DiffusionDriver, size: str) -> Outputs:
    """Yield the outputs of HuBERT on one window, and the frames of audio of it."""
    features: Any = driver.features
    samples = golden_waveform(recipe, features.context)
    padded = pad_window(jnp.asarray(samples)[None])
    yield f"{size}/padded_length", np.array([padded.shape[1]])
    yield (
        f"{size}/padded_ends",
        np.concatenate([padded[0, :ENDS], padded[0, -ENDS:]]),
    )
    for name, value in encoder_outputs(features.network, padded).items():
        yield f"{size}/{name}", value
    yield f"{size}/audio_features", audio_frames(driver, samples)[None]


@jax.jit
def encoder_outputs(
    network: HubertEncoder, samples: Float[Array, "n s"]
) -> dict[str, Array]:
    """Return the outputs of HuBERT's layers by their names."""
    outputs = {}
    # n s -> n s 1
    x = samples[..., None]
    for index, conv in enumerate(network.convs):
        x = conv(x)
        # The published ones have channels before time.
        outputs[f"conv/{index}"] = jnp.swapaxes(x, 1, 2)
    x = network.project(x)
    outputs["projection"] = x
    outputs["positions"] = network.positions(x)
    x = network.embed(x)
    outputs["embedded"] = x
    for index, block in enumerate(network.blocks):
        x = block(x)
        outputs[f"hidden/{index + 1}"] = x
    return outputs


def run_counts(figures: Figures) -> Outputs:
    """Yield lengths of padded windows, and numbers of windows and of their frames."""
    rows = []
    # The figures begin every row with the samples that it is about.
    for samples in whole(figures, "padded_lengths")[:, 0]:
        window = jax.ShapeDtypeStruct((1, samples), jnp.float32)
        rows.append([samples, jax.eval_shape(pad_window, window).shape[1]])
    yield "padded_lengths", np.array(rows)
    rows = []
    for samples in whole(figures, "lengths")[:, 0]:
        total = samples + SILENCE.before + SILENCE.after
        windows, frames = count_windows(total, PUBLISHED_WINDOW, PUBLISHED_RATE)
        last = frames - (windows - 1) * PUBLISHED_WINDOW
        rows.append([samples, windows, frames, last])
    yield "lengths", np.array(rows)


def run_schedule(name: str, steps: int) -> Outputs:
    """Yield the tables of a schedule."""
    schedule = cosine_schedule(steps)
    for theirs, ours in SCHEDULE.items():
        yield f"{name}/{theirs}", getattr(schedule, ours)


def run_denoiser(recipe: JoyVASARecipe, network: MotionDiffusion, size: str) -> Outputs:
    """Yield what the denoiser predicts, with audio and without."""
    config = network.config
    batch = 2

    def draw(name: str, *shape: int) -> Array:
        values = recipe.input(f"{size}/{name}", (batch, *shape), 1)
        return jnp.asarray(values)

    motion = draw("motion", config.motion_frames, config.motion_width)
    audio = draw("audio", config.motion_frames, config.width)
    earlier = draw("prev_motion", config.earlier_frames, config.motion_width)
    earlier_audio = draw("prev_audio", config.earlier_frames, config.width)
    # The least noise and the most.
    steps = jnp.array([1, config.steps])
    with_audio = predict(network, motion, earlier, steps, earlier_audio, audio)
    yield f"{size}/denoised_layer1/{config.positions}", with_audio["first"]
    yield f"{size}/denoised/{config.positions}", with_audio["clean"]
    start, start_audio = network.start(batch)
    null = jnp.broadcast_to(network.encode_null(), audio.shape)
    steps = jnp.array([config.steps // 2, config.steps])
    without_audio = predict(network, motion, start, steps, start_audio, null)
    yield f"{size}/denoised_null/{config.positions}", without_audio["clean"]
    # Steps are embedded alike for both kinds: once is enough.
    if config.positions == "constant":
        waves = jnp.asarray(sinusoids(config.steps + 1, config.width))
        yield (
            f"{size}/time_embedding",
            network.step(waves[jnp.array([1, config.steps])]),
        )


@jax.jit
def predict(
    network: MotionDiffusion,
    motion: Float[Array, "n t d"],
    earlier: Float[Array, "n p d"],
    steps: Int[Array, " n"],
    earlier_audio: Float[Array, "n p c"],
    audio: Float[Array, "n t c"],
) -> dict[str, Array]:
    """Return the clean motion, and the tokens after the first block."""
    terms = network.audio_terms(earlier_audio, audio)
    frames = jnp.concatenate([earlier, motion], axis=1)
    tokens = network.motion_in(frames) + network.positions()
    tokens += network.step_embedding(steps)[:, None]
    return {
        "first": network.blocks[0](tokens, terms[:, 0]),
        "clean": network.denoise(motion, earlier, steps, terms),
    }


def with_positions(network: MotionDiffusion, positions: Positions) -> MotionDiffusion:
    """Return the network with another way of positions, which has no weights."""
    copy = nnx.clone(network)
    copy.config = replace(network.config, positions=positions)
    return copy
