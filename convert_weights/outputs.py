"""The golden outputs of our networks: the recipe's inputs, run through a checkpoint."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from convert_weights.recipe import Recipe, stitching_component
from jaxportrait.checkpoint import Checkpoint
from jaxportrait.drivers.flow_program import transformer_velocity
from jaxportrait.drivers.integrate import integrate
from jaxportrait.drivers.windows import WindowPlan
from jaxportrait.features.blocks import spectrogram_blocks
from jaxportrait.features.registry import load_features
from jaxportrait.features.spectrogram import SAMPLES_PER_FEATURE
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.ops.spectrogram import SAMPLE_RATE, log_mel, scale_log_mel
from jaxportrait.types import AnyArray

Outputs = Iterator[tuple[str, AnyArray]]
"""(golden name, array in PyTorch's layout)."""

# What the golden figures were made with; see tests/golden/README.md.
IMAGE_SIZE = {"small": 64, "full": 256}
BATCH = {"small": 2, "full": 1}
WHISPER = {
    "small": ("small/whisper", (1.0, 2.37, 31.0)),
    "full": ("tiny/whisper", (1.0, 31.0)),
}
"""Size -> component, and the seconds of its clips."""
GUIDANCE = 4.5
STEPS = 25
WINDOWS = 2
FRAMES = 30
TIMES = (0.1, 0.7)
BLOCK_HOPS = 3000
"""Spectrogram frames of 30 s."""


@dataclass(frozen=True)
class Dtypes:
    """Compute dtypes of the networks.

    Attributes:
      picture: dtype of F, M, stitching and retargeting.
      frames: dtype of W and G.
      motion: dtype of the flow transformer.
    """

    picture: jnp.dtype
    frames: jnp.dtype
    motion: jnp.dtype

    @classmethod
    def named(cls, name: str) -> "Dtypes":
        """Return the dtypes of a run; float16 is only for W and G, as in inference."""
        if name == "float16":
            return cls(
                picture=jnp.dtype("float32"),
                frames=jnp.dtype("float16"),
                motion=jnp.dtype("bfloat16"),
            )
        dtype = jnp.dtype(name)
        return cls(dtype, dtype, dtype)


def run_networks(
    recipe: Recipe, checkpoint: Checkpoint, size: str, dtype: str
) -> Outputs:
    """Yield every golden output of one size."""
    dtypes = Dtypes.named(dtype)
    yield from run_renderer(recipe, checkpoint, size, dtypes)
    if "motion" in checkpoint.parts:
        yield from run_motion(checkpoint, dtypes.picture)
        yield from run_retargeting(recipe, checkpoint, dtypes.picture)
    yield from run_whisper(recipe, checkpoint, size)
    yield from run_flow_transformer(recipe, checkpoint, size, dtypes.motion)


def run_renderer(
    recipe: Recipe, checkpoint: Checkpoint, size: str, dtypes: Dtypes
) -> Outputs:
    """Yield the outputs of F, W and G, and those of all three in a row."""
    appearance = jit_network(checkpoint.network("appearance", dtype=dtypes.picture))
    warping = jit_network(checkpoint.network("warping", dtype=dtypes.frames))
    generator = jit_network(checkpoint.network("generator", dtype=dtypes.frames))
    config = checkpoint.sizes("warping")
    batch = BATCH[size]
    side = IMAGE_SIZE[size] // 4
    volume = appearance(golden_image(IMAGE_SIZE[size]))
    yield f"{size}/appearance/volume", channels_first(volume)

    # Only W, on a volume and keypoints that are drawn.
    keypoints = (batch, config.keypoints, 3)
    source = recipe.input(f"{size}/kp_source", keypoints, 0.3)
    driving = source + recipe.input(f"{size}/kp_delta", keypoints, 0.08)
    shape = (batch, config.volume_channels, config.volume_depth, side, side)
    drawn_volume = channels_last(recipe.input(f"{size}/volume", shape, 0.7))
    warped = warping(drawn_volume, source, driving)
    yield f"{size}/warping/mask_logits", channels_first(warped.motion.mask_logits)
    yield f"{size}/warping/deformation", warped.motion.deformation
    yield f"{size}/warping/occlusion_map", channels_first(warped.motion.occlusion)
    yield f"{size}/warping/out", channels_first(warped.features)

    # Only G, on drawn features.
    shape = (batch, config.features, side, side)
    features = channels_last(recipe.input(f"{size}/feature", shape, 0.4))
    yield f"{size}/generator/image", channels_first(generator(features))

    # F, W and G in a row.
    warped = warping(volume, source[:1], driving[:1])
    yield f"{size}/frame", channels_first(generator(warped.features))


def run_motion(checkpoint: Checkpoint, dtype: jnp.dtype) -> Outputs:
    """Yield the outputs of M, and the keypoints that they make."""
    network = checkpoint.network("motion", dtype=dtype)
    image = golden_image(IMAGE_SIZE["full"])

    @jax.jit
    def pose_logits(network: Any, image: AnyArray) -> list[jax.Array]:
        features = network.backbone(image)
        return [head(features) for head in (network.pitch, network.yaw, network.roll)]

    logits = pose_logits(network, image)
    motion = jit_network(network)(image)
    # Each angle has its logits over bins, and degrees.
    for i, angle in enumerate(("pitch", "yaw", "roll")):
        yield f"full/motion/{angle}", logits[i]
        yield f"full/motion/{angle}_degrees", motion.pose[:, i]
    yield "full/motion/kp", motion.keypoints.reshape(1, -1)
    yield "full/motion/exp", motion.expression.reshape(1, -1)
    yield "full/motion/t", motion.translation
    yield "full/motion/scale", motion.scale
    rotation = rotation_matrix(motion.pose)
    yield "full/motion/rotation", rotation
    keypoints = transform_keypoints(
        motion.keypoints, rotation, motion.expression, motion.scale, motion.translation
    )
    yield "full/motion/transformed_keypoints", keypoints


def run_retargeting(
    recipe: Recipe, checkpoint: Checkpoint, dtype: jnp.dtype
) -> Outputs:
    """Yield the outputs of S and R."""
    for part in checkpoint.with_role("retargeting"):
        component = stitching_component(part)
        shape = (3, checkpoint.sizes(part).inputs)
        x = recipe.input(f"full/{component.split('/')[-1]}", shape, 0.5)
        network = jit_network(checkpoint.network(part, dtype=dtype))
        yield f"full/{component.replace('_module', '')}", network(x)


def run_whisper(recipe: Recipe, checkpoint: Checkpoint, size: str) -> Outputs:
    """Yield Whisper's features of clips, and with the small one the spectrograms."""
    features = load_features(checkpoint)
    component, clips = WHISPER[size]
    for seconds in clips:
        wave = golden_waveform(recipe, seconds)
        # The spectrogram has no weights, and so no size.
        if size == "small":
            yield f"mel/{seconds}s", spectrogram(wave)
        count = wave.size // SAMPLES_PER_FEATURE
        encoded = features.encode(partial(iter, [wave]), count)
        yield f"{component}/features_{seconds}s", encoded


def run_flow_transformer(
    recipe: Recipe, checkpoint: Checkpoint, size: str, dtype: jnp.dtype
) -> Outputs:
    """Yield the conditions, a velocity, and the guided samples of two windows."""
    driver = checkpoint.driver()
    network = checkpoint.network(driver.config.transformer, dtype=dtype)
    config = checkpoint.sizes(driver.config.transformer)
    shape = (WINDOWS, FRAMES, config.motion_width)
    noise = recipe.input(f"{size}/x_t", shape, 1)
    shape = (WINDOWS, config.audio_frames, config.audio_width)
    audio = recipe.input(f"{size}/audio", shape, 1)
    condition = jax.jit(FlowTransformer.encode_audio)(network, audio)
    yield f"{size}/animate/aud_cond", condition.tokens
    yield f"{size}/animate/sync_cond", condition.per_frame
    yield f"{size}/animate/global_aud_cond", condition.pooled
    velocity = jit_network(network)(noise, jnp.asarray(TIMES), audio)
    yield f"{size}/animate/velocity", velocity

    # Windows that do not overlap, as the published code samples them.
    plan = WindowPlan(
        WINDOWS, FRAMES, config.audio_frames, stride=FRAMES, group=WINDOWS
    )

    @jax.jit
    def sample(network: Any, noise: jax.Array, condition: Any) -> jax.Array:
        null = network.encode_null()
        count = jnp.asarray(WINDOWS)
        return integrate(
            transformer_velocity,
            network,
            noise,
            condition,
            null,
            count,
            GUIDANCE,
            plan=plan,
            steps=STEPS,
            guided=True,
        )

    frames = jnp.asarray(noise.reshape(WINDOWS * FRAMES, -1))
    motion = np.asarray(sample(network, frames, condition)).reshape(noise.shape)
    yield f"{size}/animate/sample_cfg4.5_euler25", motion
    for name, value in recipe.statistics().items():
        yield f"statistic/{name}", value
    statistics: Any = driver.statistics
    # In the units of the motion extractor.
    denormalized = motion * statistics.std + statistics.mean
    yield f"{size}/animate/motion", denormalized


def golden_image(side: int) -> np.ndarray:
    """Return a picture of smooth waves, (1, side, side, 3)."""
    line = np.linspace(0, 1, side)
    # Rows are y, columns are x.
    y, x = np.meshgrid(line, line, indexing="ij")
    channels = []
    for c in range(3):
        slow = np.sin(7 * x + 3 * y + c)
        fast = np.cos(5 * y - 2 * x * c)
        channels.append(0.5 + 0.5 * slow * fast)
    return np.stack(channels, axis=-1)[None].astype(np.float32)


def golden_waveform(recipe: Recipe, seconds: float) -> np.ndarray:
    """Return a swept, trembling tone with a beep and noise, at 16 kHz."""
    n = round(SAMPLE_RATE * seconds)
    t = np.arange(n) / SAMPLE_RATE
    sweep = np.sin(2 * np.pi * (180 * t + 30 * np.sin(2 * np.pi * 0.7 * t)))
    tremble = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * t)
    # The beep is on and off 1.7 times a second.
    switch = np.sin(2 * np.pi * 1.7 * t) > 0
    beep = np.sin(2 * np.pi * 930 * t + 1) * switch
    noise = recipe.rng("input", f"waveform/{n}").standard_normal(n)
    wave = 0.25 * sweep * tremble + 0.12 * beep + 0.01 * noise
    return wave.astype(np.float32)


def spectrogram(wave: np.ndarray, mel_bins: int = 80) -> np.ndarray:
    """Return the scaled log-mel of a clip, (mel bins, frames)."""
    blocks = []
    for samples, valid in spectrogram_blocks([wave], wave.size, BLOCK_HOPS):
        frames = log_mel(jnp.asarray(samples), mel_bins)[0]
        blocks.append(frames[:valid])
    values = jnp.concatenate(blocks)
    return np.asarray(scale_log_mel(values, values.max())).T


def jit_network(network: Any) -> Callable[..., Any]:
    """Return the compiled call of a network."""
    return partial(jax.jit(lambda network, *inputs: network(*inputs)), network)


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


def channels_first(array: jax.Array) -> np.ndarray:
    return np.moveaxis(np.asarray(array, np.float32), -1, 1)
