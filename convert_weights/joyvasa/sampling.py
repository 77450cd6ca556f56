"""JoyVASA's sampling on the recipe's sounds and noise, by the names of the golden
figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from convert_weights.joyvasa.recipe import JoyVASARecipe
from convert_weights.outputs import golden_waveform
from jaxportrait.drivers.diffusion import DiffusionDriver
from jaxportrait.drivers.diffusion_program import encode_window
from jaxportrait.drivers.diffusion_sample import Guided, sample_window
from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.models.motion_diffusion import MotionDiffusion
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import smooth_head
from jaxportrait.ops.diffusion import ReverseSteps, ancestral_steps, cosine_schedule
from jaxportrait.types import AnyArray

GUIDANCE = 2.8
"""The published program's scale of guidance."""
SEQUENCE_SECONDS = {"small": 1.9, "full": 4.6}
"""Size -> length of the sound that several windows make."""

PUBLISHED_SMOOTHING = 4.0
"""Seconds by which the published head follows its motion."""

Outputs = Iterator[tuple[str, AnyArray]]


@dataclass(frozen=True)
class GoldenNoise:
    """The noise of the golden windows."""

    recipe: JoyVASARecipe
    size: str
    shape: tuple[int, int]
    steps: int

    def initial(self) -> Float[Array, "t d"]:
        return self._draw("initial")

    def fresh(self, window: int) -> Float[Array, "steps_and_one t d"]:
        # The last step adds no noise, and neither does the data.
        unused = [jnp.zeros(self.shape)] * 2
        used = [self._draw(f"z/{window}/{t}") for t in range(2, self.steps + 1)]
        return jnp.stack([*unused, *used])

    def _draw(self, name: str) -> Float[Array, "t d"]:
        values = self.recipe.input(f"{self.size}/{name}", (1, *self.shape), 1)
        return jnp.asarray(values[0])


def run_trajectory(
    recipe: JoyVASARecipe, driver: DiffusionDriver, network: MotionDiffusion, size: str
) -> Outputs:
    """Yield noise on its way to motion: after the first step, half of them, the last
    but one and the last."""
    last = network.config.steps
    sample = sampler(recipe, driver, network, size)
    for left in (last - 1, last // 2, 1, 0):
        name = f"{size}/sample/{network.config.positions}/{left}"
        yield name, sample(GUIDANCE, guided=True, count=last - left)


def run_variants(recipe: JoyVASARecipe, driver: DiffusionDriver) -> Outputs:
    """Yield the samples of other guidance, and of more noise.

    With one condition, the published modes of guidance are the same.
    """
    last = driver.sizes.steps
    sample = sampler(recipe, driver, driver.network, "small")
    yield "small/sample/scale1/0", sample(1.0, guided=True, count=last)
    yield "small/sample/independent/0", sample(GUIDANCE, guided=True, count=last)
    yield "small/sample/unguided/0", sample(GUIDANCE, guided=False, count=last)
    flexible = sample(GUIDANCE, guided=True, count=last, flexibility=0.5)
    yield "small/sample/flexible/0", flexible


class Sample(Protocol):
    """Returns the state after some steps from the golden noise, (1, t, d)."""

    def __call__(
        self, guidance: float, *, guided: bool, count: int, flexibility: float = 0.0
    ) -> AnyArray: ...


def sampler(
    recipe: JoyVASARecipe, driver: DiffusionDriver, network: MotionDiffusion, size: str
) -> Sample:
    """Return the sampling of the first window of the golden sound."""
    config = network.config
    samples = golden_waveform(recipe, driver.features.context)
    audio = jnp.asarray(audio_frames(driver, samples))
    noise = golden_noise(recipe, driver, size)
    schedule = cosine_schedule(config.steps)

    @partial(jax.jit, static_argnames="guided")
    def run(
        network: MotionDiffusion,
        steps: ReverseSteps,
        guidance: Float[Array, ""],
        *,
        guided: bool,
    ) -> Float[Array, "t d"]:
        start, start_audio = network.start(1)
        terms = network.audio_terms(start_audio, audio[None])
        fresh = noise.fresh(0)
        prediction = Guided(network, guidance, guided)
        return sample_window(
            prediction,
            terms,
            start[0],
            steps,
            noise.initial(),
            lambda step: fresh[step],
        )

    def sample(
        guidance: float, *, guided: bool, count: int, flexibility: float = 0.0
    ) -> AnyArray:
        # Some of the steps end on the way from noise to motion.
        steps = ancestral_steps(schedule, flexibility)
        steps = jax.tree.map(lambda leaf: jnp.asarray(leaf[:count]), steps)
        return run(network, steps, jnp.asarray(guidance), guided=guided)[None]

    return sample


def run_sequence(recipe: JoyVASARecipe, driver: DiffusionDriver, size: str) -> Outputs:
    """Yield the motion of a sound of several windows, as published."""
    samples = golden_waveform(recipe, SEQUENCE_SECONDS[size])
    sound = Audio.from_samples(samples, SAMPLE_RATE)
    noise = golden_noise(recipe, driver, size)
    # Programs are traced within, and so have products of full float32 factors.
    with jax.default_matmul_precision("highest"):
        motion, frames = driver.sample_original(sound, noise)
    yield f"{size}/sequence/coefficients", motion[None]
    yield f"{size}/sequence/frames", np.array([frames])
    values = driver.denormalize(motion[:frames])
    for name, value in values_by_name(values).items():
        yield f"{size}/sequence/motion/{name}", value
    clip = MotionClip.from_values(values, driver.space, driver.fps)
    yield f"{size}/sequence/motion/R", np.asarray(clip.rotation)
    smoothed = smooth_head(clip, PUBLISHED_SMOOTHING)
    yield f"{size}/sequence/smoothed/R", np.asarray(smoothed.rotation)
    frames = driver.space.select(smoothed.to_frames())
    for name, value in values_by_name(np.asarray(frames)).items():
        yield f"{size}/sequence/smoothed/{name}", value


def values_by_name(
    values: Float32[np.ndarray, "n 70"],
) -> dict[str, Float32[np.ndarray, "n ..."]]:
    """Return values of JoyVASA's motion space by its names."""
    widths = {"exp": 63, "scale": 1, "t": 3, "pitch": 1, "yaw": 1, "roll": 1}
    ends = np.cumsum(list(widths.values()))
    parts = dict(zip(widths, np.split(values, ends[:-1], axis=1), strict=True))
    return {**parts, "exp": parts["exp"].reshape(len(values), 21, 3)}


def golden_noise(
    recipe: JoyVASARecipe, driver: DiffusionDriver, size: str
) -> GoldenNoise:
    """Return the noise that the golden windows start from."""
    sizes = driver.sizes
    shape = (sizes.motion_frames, sizes.motion_width)
    return GoldenNoise(recipe, size, shape, sizes.steps)


def audio_frames(
    driver: DiffusionDriver, samples: Float32[np.ndarray, " s"]
) -> Float32[np.ndarray, "t c"]:
    """Return the frames of audio of one window."""
    features: Any = driver.features
    encoded = features.encode_window(samples)
    return np.asarray(encode_window(driver.network, jnp.asarray(encoded)))
