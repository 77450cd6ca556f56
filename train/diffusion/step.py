"""One update of the denoiser: pure, and the same on any number of devices.

Every random draw belongs to a sample's row in the global batch, whatever device or
process holds it. Source: JoyVASA.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxportrait.models.motion_diffusion import MotionDiffusion, MotionDiffusionConfig
from jaxportrait.ops.diffusion import add_noise, cosine_schedule
from jaxportrait.ops.dropout import KEEP, Dropout, Keep
from jaxportrait.types import pytree
from train.data.augment import augment_sound
from train.diffusion.config import DENOISER
from train.diffusion.data import FRAME_SAMPLES
from train.diffusion.losses import Half, Terms, half_terms, transition_term, weigh
from train.diffusion.networks import Batch, Networks, StepConfig, build
from train.engine.adapters import scale_adapters
from train.engine.keys import Purpose, root_key
from train.engine.state import (
    Params,
    TrainState,
    learning_rate,
    mean_gradients,
    update,
)

DIFFUSION = "diffusion"
"""Name of the driver of a trained denoiser."""
GOLDEN_RATIO = 0.618034
"""Fractional parts of its multiples fill [0, 1) evenly, however many there are."""
VALIDATION_SEED = 0
DROPOUT = 2
"""Number of a row's key of dropout, after those of its two windows."""
SOUND = 3
"""Number of a row's key of augmentation."""


@pytree
@dataclass(frozen=True)
class Draws:
    """Random draws of each sample, for both of its windows.

    Attributes:
      noise: added to the motion.
      step: step of the diffusion.
      dropped: whether the audio is replaced by the learned vector.
      end: frame at which a window ends early.
      key: decides the dropout of both windows.
    """

    noise: Float[Array, "n 2 t d"]
    step: Int[Array, "n 2"]
    dropped: Bool[Array, "n 2"]
    end: Int[Array, "n 2"]
    key: PRNGKeyArray


WindowDraws = tuple[Array, Array, Array, Array]
"""The draws of a window: noise, step, whether its audio is dropped, and its end."""


def train_step(
    config: StepConfig,
    frozen: Params,
    key: PRNGKeyArray,
    state: TrainState,
    batch: Batch,
) -> tuple[TrainState, Terms]:
    """Return the state after one update, and its metrics.

    Args:
      config: options of the run, and sizes of the networks.
      frozen: weights of a frozen encoder; empty where there is none.
      key: key of the run's updates; folded with the step and each sample's row.
      state: the state before.
      batch: pairs of windows.

    Returns:
      The next state, and `loss`, `gradient_norm` (before the clip) and `learning_rate`.
    """
    training = config.training
    step_key = jax.random.fold_in(key, state.step)
    if training.augmented:
        batch = augment_batch(config, step_key, batch)
    draws = draw(config, step_key, batch["row"])
    # Parts differ in real frames; means over those of the whole batch do not.
    real = real_frames(config.sizes[DENOISER], batch, draws)
    rows = [half.sum(axis=0) / training.accumulation for half in real]

    def loss(params: Params, part: tuple[Batch, Draws]) -> Float[Array, ""]:
        weights = scale_adapters(params | state.fixed, training.lora)
        networks = build(config, weights | frozen)
        batch, draws = part
        drop = Dropout(draws.key, training.dropout, training.block_dropout)
        halves = predict(networks, batch, draws, drop)
        return total_loss(config, halves, rows)

    value, gradients = mean_gradients(
        loss, state.params, (dict(batch), draws), training.accumulation
    )
    rate = jnp.asarray(learning_rate(training.optimizer)(state.step), jnp.float32)
    state, norm = update(state, gradients, training.optimizer)
    return state, {"loss": value, "gradient_norm": norm, "learning_rate": rate}


def augment_batch(config: StepConfig, key: PRNGKeyArray, batch: Batch) -> Batch:
    """Return pairs of windows, of which a share has augmented sound.

    Args:
      config: options of the run, and sizes of the networks.
      key: key of the step.
      batch: pairs of windows with their sound.
    """
    training = config.training

    def augment_row(
        row: Array, sound: Float[Array, "2 s"], real: Int[Array, " 2"]
    ) -> Float[Array, "2 s"]:
        chosen, change = jax.random.split(
            jax.random.fold_in(jax.random.fold_in(key, row), SOUND)
        )
        # One room for both windows: its sound continues in the second.
        whole = sound.reshape(-1)
        count = real.sum() * FRAME_SAMPLES
        other = augment_sound(change, whole, count, training.augmentation)
        is_chosen = jax.random.uniform(chosen) < training.augmented
        return jnp.where(is_chosen, other, whole).reshape(sound.shape)

    sound = jax.vmap(augment_row)(batch["row"], batch["sound"], batch["real"])
    return {**batch, "sound": sound}


def validation_loss(
    config: StepConfig, frozen: Params, params: Params, batch: Batch
) -> Float[Array, ""]:
    """Return the error of the clean motion with the audio kept, at noise and steps that
    depend only on a sample's row."""
    key = root_key(VALIDATION_SEED, Purpose.VALIDATION)
    drawn = draw(config, key, batch["row"])
    sizes = config.sizes[DENOISER]
    # Steps evenly spaced over the rows.
    rows = batch["row"].astype(jnp.float32)
    quantile, _ = jnp.modf((rows + 0.5) * GOLDEN_RATIO)
    step = 1 + jnp.floor(quantile * sizes.steps).astype(jnp.int32)
    draws = Draws(
        drawn.noise,
        jnp.stack([step, step], axis=1),
        jnp.zeros_like(drawn.dropped),
        jnp.full_like(drawn.end, sizes.motion_frames),
        drawn.key,
    )
    # Without early ends, only the clip's own end counts.
    halves = predict(build(config, params | frozen), batch, draws)
    errors = [
        half_terms(_in_space(config, half), half.rows, _mask(config))["simple"]
        for half in halves
    ]
    return (errors[0] + errors[1]) / 2


def draw(config: StepConfig, key: PRNGKeyArray, rows: Int[Array, " n"]) -> Draws:
    """Draw noise, steps, dropped audio and early ends, row by row and window by window,
    and each row's key of dropout.

    Args:
      config: options of the run, and sizes of the networks.
      key: key of the step.
      rows: place of each sample in the global batch.
    """
    sizes = config.sizes[DENOISER]
    frames = sizes.motion_frames
    shape = (frames, sizes.motion_width)

    def draw_window(window_key: PRNGKeyArray, truncation: Array) -> WindowDraws:
        noise, step, dropped, early, end = jax.random.split(window_key, 5)
        is_early = jax.random.uniform(early) < truncation
        return (
            jax.random.normal(noise, shape),
            jax.random.randint(step, (), 1, sizes.steps + 1),
            jax.random.uniform(dropped) < config.training.condition_dropout,
            # A window keeps a frame at least.
            jnp.where(is_early, jax.random.randint(end, (), 1, frames), frames),
        )

    def draw_row(row: Array) -> Draws:
        # A key of its own for each row, whatever device holds it.
        row_key = jax.random.fold_in(key, row)
        keys = jax.random.split(row_key, 2)
        windows = jax.vmap(draw_window)(keys, jnp.asarray(config.training.truncation))
        return Draws(*windows, jax.random.fold_in(row_key, DROPOUT))

    return jax.vmap(draw_row)(rows)


def predict(
    networks: Networks, batch: Batch, draws: Draws, drop: Keep = KEEP
) -> tuple[Half, Half]:
    """Return what the denoiser predicts for both windows of every sample.

    The second window continues the true motion and the whole sound of the first.

    Args:
      networks: the networks of a step.
      batch: pairs of windows.
      draws: random draws of each sample.
      drop: dropout of training.
    """
    denoiser = networks.denoiser
    frames = denoiser.config.motion_frames
    count = denoiser.config.earlier_frames
    end = jnp.minimum(batch["real"], draws.end)
    real = real_frames(denoiser.config, batch, draws)
    whole_motion = batch["motion"]
    truth = [
        whole_motion[:, 0] * real[0][..., None],
        whole_motion[:, 1] * real[1][:, count:, None],
    ]
    audio = [
        denoiser.encode_audio(features)
        for features in networks.features(batch, end, drop)
    ]
    # The first window begins without anything.
    start_motion, start_audio = denoiser.start(len(end))
    predicted = _denoise(
        denoiser, truth[0], draws, 0, start_motion, start_audio, audio[0], drop
    )
    # The frames before it are learned ones, and have no truth.
    first = Half(truth[0], predicted[:, count:], real[0])
    # The second one continues the first as it is in the clip.
    whole = networks.features(batch, jnp.full_like(end, frames), drop)[0]
    end_of_sound = denoiser.encode_audio(whole)[:, -count:]
    earlier_audio = jax.lax.stop_gradient(end_of_sound)
    earlier = whole_motion[:, 0, -count:]
    predicted = _denoise(
        denoiser, truth[1], draws, 1, earlier, earlier_audio, audio[1], drop
    )
    continued = jnp.concatenate([earlier, truth[1]], axis=1)
    return first, Half(continued, predicted, real[1])


def real_frames(
    sizes: MotionDiffusionConfig, batch: Batch, draws: Draws
) -> tuple[Float[Array, "n t"], Float[Array, "n p+t"]]:
    """Return 1 for the frames of both windows that count; the second one has the frames
    before it."""
    frames = sizes.motion_frames
    end = jnp.minimum(batch["real"], draws.end)
    real = (jnp.arange(frames)[None, None] < end[..., None]).astype(jnp.float32)
    # Earlier frames are real only where the first window is whole.
    is_whole = (batch["real"][:, :1] == frames).astype(jnp.float32)
    earlier = jnp.repeat(is_whole, sizes.earlier_frames, axis=1)
    return real[:, 0], jnp.concatenate([earlier, real[:, 1]], axis=1)


def total_loss(
    config: StepConfig, halves: tuple[Half, Half], rows: Sequence[Float[Array, " t"]]
) -> Float[Array, ""]:
    """Return the loss of both windows.

    Args:
      config: options of the run, and sizes of the networks.
      halves: both windows.
      rows: number of rows in which each frame of both counts: see `half_terms`.
    """
    expression = _mask(config)
    first, second = (_in_space(config, half) for half in halves)
    count = config.sizes[DENOISER].earlier_frames
    terms = (
        half_terms(first, rows[0], expression),
        half_terms(second, rows[1], expression),
    )
    transition = transition_term(second, rows[1], count, expression)
    return weigh(terms, transition, config.training.losses)


def _denoise(
    denoiser: MotionDiffusion,
    truth: Float[Array, "n t d"],
    draws: Draws,
    window: int,
    earlier_motion: Float[Array, "n p d"],
    earlier_audio: Float[Array, "n p c"],
    audio: Float[Array, "n t c"],
    drop: Keep,
) -> Float[Array, "n p+t d"]:
    """Return the clean motion that the denoiser predicts for a window of noise."""
    step = draws.step[:, window]
    schedule = cosine_schedule(denoiser.config.steps)
    noisy = add_noise(truth, draws.noise[:, window], step, schedule)
    null = denoiser.encode_null()
    audio = jnp.where(draws.dropped[:, window, None, None], null, audio)
    terms = denoiser.audio_terms(earlier_audio, audio, drop)
    return denoiser.denoise(noisy, earlier_motion, step, terms, drop)


def _mask(config: StepConfig) -> Bool[np.ndarray, " d"]:
    return np.array(config.expression)


def _in_space(config: StepConfig, half: Half) -> Half:
    """Return a window without the values after the motion space."""
    width = config.width
    return Half(half.truth[..., :width], half.predicted[..., :width], half.real)
