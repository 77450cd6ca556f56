"""Parity report: `python -m convert_weights.verify --golden DIR` proves converter and
networks on golden figures.

The recipe's checkpoints are written as real files, the real converter reads them, the
networks run on the recipe's inputs, and every stored tensor is compared. The exit
status is 1 if any misses its bound.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Float

from convert_weights.bundle import convert_files, write
from convert_weights.parity import Comparison, conclude, forgotten
from convert_weights.recipe import STATISTICS_FILE, Recipe, write_checkpoints
from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.drivers.flow import transformer_velocity
from jaxportrait.drivers.windows import WindowPlan, integrate
from jaxportrait.features.blocks import spectrogram_blocks
from jaxportrait.features.spectrogram import SAMPLES_PER_FEATURE, whisper_features
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.ops.spectrogram import log_mel, scale_log_mel
from jaxportrait.types import AnyArray

Outputs = Iterator[tuple[str, AnyArray]]
"""(golden name, array in PyTorch's layout)."""

SIZES = {"small": ("small",), "full": ("full",), "all": ("small", "full")}
IMAGE_SIZE = {"small": 64, "full": 256}
BATCH = {"small": 2, "full": 1}
WHISPER = {
    "small": ("small/whisper", (1.0, 2.37, 31.0)),
    "full": ("tiny/whisper", (1.0, 31.0)),
}
TRANSFORMERS = ("small/animate/", "full/animate/", "small/whisper/", "tiny/whisper/")
GUIDANCE, STEPS, WINDOWS, FRAMES = 4.5, 25, 2, 30
STORED_WHOLE = 4096
SMALL_BOUND, FULL_BOUND, MEL_BOUND = 3e-5, 1e-4, 2e-5
HALF_BOUNDS = {"bfloat16": (6e-2, 1.2e-1), "float16": (1e-2, 3e-2)}
"""In half precision (numbers of bfloat16 are 4e-3 apart, of float16 5e-4): of one
network, and of 25 guided steps or several networks in a row."""
FRAME_BOUND = 10 ** (-45 / 20)
"""Root mean square error of a frame in float16: 45 dB."""


@dataclass(frozen=True)
class Options:
    """Compare every network with golden figures of the published code.

    Attributes:
      golden: folder of golden figures, of any seed.
      size: of the networks.
      dtype: in which the networks compute; float16 is that of W and G, as inference has
        it: the transformers compute in bfloat16 then, and what a picture needs once in
        float32.
    """

    golden: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    size: Literal["small", "full", "all"] = "all"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    jax.config.update("jax_default_matmul_precision", "highest")
    conclude(
        [
            row
            for size in SIZES[options.size]
            for row in verify(options.golden, size, options.dtype)
        ],
        "tensor",
    )


def verify(golden: Path, size: str, dtype: str = "float32") -> list[Comparison]:
    """Write, convert and run the recipe's networks of one size, and compare all that
    they give."""
    recipe, figures = Recipe(golden), load_figures(golden)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = convert_recipe(recipe, size, Path(folder))
        outputs = dict(run_networks(recipe, checkpoint, size, dtype))
    rows = [
        compare(figures, name, value, bound_of(name, size, dtype))
        for name, value in outputs.items()
    ]
    if dtype == "float16":
        error = sampled(outputs[f"{size}/frame"]) - figures[f"{size}/frame"].ravel()
        rows.append(
            Comparison(
                f"{size}/frame, rms", float(np.sqrt(np.mean(error**2))), FRAME_BOUND
            )
        )
    tags = (
        f"{size}/",
        WHISPER[size][0],
        "statistic/",
        *(["mel/"] if size == "small" else []),
    )
    names = [
        name
        for name in figures
        if name.startswith(tags) and not name.endswith(("/shape", "/mean_std"))
    ]
    return rows + forgotten(names, rows)


def convert_recipe(recipe: Recipe, size: str, folder: Path) -> Checkpoint:
    """The recipe's files of one size, converted."""
    files = write_checkpoints(recipe, size, folder / "published")
    converted = convert_files(files, folder / "published" / STATISTICS_FILE)
    write(converted, folder / "checkpoint", image_size=IMAGE_SIZE[size])
    return open_checkpoint(folder / "checkpoint")


def load_figures(golden: Path) -> dict[str, np.ndarray]:
    return {**np.load(golden / "modules.npz"), **np.load(golden / "audio.npz")}


def compare(
    figures: dict[str, np.ndarray], name: str, value: AnyArray, bound: float
) -> Comparison:
    """Compare `value` with the stored sample of a golden tensor, and its mean and
    deviation with the whole one's.

    The error is the largest difference, as a share of the largest golden value.
    """
    value = np.asarray(value, np.float64)
    if value.shape != tuple(figures.get(f"{name}/shape", figures[name].shape)):
        return Comparison(name, float("nan"), bound, value.shape)
    stored = figures[name].ravel()
    moments = np.array([value.mean(), value.std()])
    off = np.abs(moments - figures.get(f"{name}/mean_std", moments)).max()
    difference = max(np.abs(sampled(value) - stored).max(), off)
    return Comparison(
        name, float(difference / np.abs(stored).max()), bound, value.shape
    )


def sampled(value: AnyArray) -> Float[np.ndarray, " k"]:
    """The values that golden figures hold of a tensor: all, or so many drawn."""
    flat = np.asarray(value, np.float64).ravel()
    if flat.size <= STORED_WHOLE:
        return flat
    return flat[
        np.random.Generator(np.random.PCG64(0)).integers(0, flat.size, STORED_WHOLE)
    ]


def bound_of(name: str, size: str, dtype: str) -> float:
    if name.startswith("mel/"):
        return MEL_BOUND
    if dtype in HALF_BOUNDS:
        one, several = HALF_BOUNDS[
            "bfloat16" if name.startswith(TRANSFORMERS) else dtype
        ]
        return (
            several
            if name.endswith(("/frame", "sample_cfg4.5_euler25", "/motion"))
            else one
        )
    return SMALL_BOUND if size == "small" else FULL_BOUND


def run_networks(
    recipe: Recipe, checkpoint: Checkpoint, size: str, dtype: str
) -> Outputs:
    """Every golden output of one size."""
    mixed = dtype == "float16"
    once, moving = (
        jnp.dtype("float32" if mixed else dtype),
        jnp.dtype("bfloat16" if mixed else dtype),
    )
    yield from run_renderer(recipe, checkpoint, size, once, jnp.dtype(dtype))
    if "motion" in checkpoint.parts:
        yield from run_motion(checkpoint, once)
        yield from run_stitching(recipe, checkpoint, once)
    yield from run_whisper(recipe, checkpoint, size, moving)
    yield from run_flow_transformer(recipe, checkpoint, size, moving)


def run_renderer(
    recipe: Recipe, checkpoint: Checkpoint, size: str, once: jnp.dtype, dtype: jnp.dtype
) -> Outputs:
    extractor = checkpoint.network("appearance", dtype=once)
    warping, generator = (
        checkpoint.network(part, dtype=dtype) for part in ("warping", "generator")
    )
    config, side = checkpoint.sizes("warping"), IMAGE_SIZE[size] // 4
    extract, warp, generate = call(), call(), call()
    volume = extract(extractor, golden_image(IMAGE_SIZE[size]))
    yield f"{size}/appearance/volume", channels_first(volume)

    batch = BATCH[size]
    shape = (batch, config.volume_channels, config.volume_depth, side, side)
    source = recipe.input(f"{size}/kp_source", (batch, config.keypoints, 3), 0.3)
    driving = source + recipe.input(
        f"{size}/kp_delta", (batch, config.keypoints, 3), 0.08
    )
    warped = warp(
        warping,
        channels_last(recipe.input(f"{size}/volume", shape, 0.7)),
        source,
        driving,
    )
    yield f"{size}/warping/mask_logits", channels_first(warped.motion.mask_logits)
    yield f"{size}/warping/deformation", warped.motion.deformation
    yield f"{size}/warping/occlusion_map", channels_first(warped.motion.occlusion)
    yield f"{size}/warping/out", channels_first(warped.features)

    features = recipe.input(
        f"{size}/feature", (batch, config.features, side, side), 0.4
    )
    yield (
        f"{size}/generator/image",
        channels_first(generate(generator, channels_last(features))),
    )
    frame = generate(generator, warp(warping, volume, source[:1], driving[:1]).features)
    yield f"{size}/frame", channels_first(frame)


def run_motion(checkpoint: Checkpoint, dtype: jnp.dtype) -> Outputs:
    network, image = (
        checkpoint.network("motion", dtype=dtype),
        golden_image(IMAGE_SIZE["full"]),
    )
    logits = jax.jit(
        lambda n, x: [head(n.backbone(x)) for head in (n.pitch, n.yaw, n.roll)]
    )(network, image)
    motion = call()(network, image)
    for i, angle in enumerate(("pitch", "yaw", "roll")):
        yield f"full/motion/{angle}", logits[i]
        yield f"full/motion/{angle}_degrees", motion.pose[:, i]
    yield "full/motion/kp", motion.keypoints.reshape(1, -1)
    yield "full/motion/exp", motion.expression.reshape(1, -1)
    yield "full/motion/t", motion.translation
    yield "full/motion/scale", motion.scale
    rotation = rotation_matrix(motion.pose)
    yield "full/motion/rotation", rotation
    yield (
        "full/motion/transformed_keypoints",
        transform_keypoints(
            motion.keypoints,
            rotation,
            motion.expression,
            motion.scale,
            motion.translation,
        ),
    )


def run_stitching(recipe: Recipe, checkpoint: Checkpoint, dtype: jnp.dtype) -> Outputs:
    for part, name in (
        ("stitching", "stitching"),
        ("lip_retargeting", "lip"),
        ("eye_retargeting", "eye"),
    ):
        network = checkpoint.network(part, dtype=dtype)
        x = recipe.input(f"full/{name}", (3, checkpoint.sizes(part).inputs), 0.5)
        yield f"full/stitching_retargeting/{name}", call()(network, x)


def run_whisper(
    recipe: Recipe, checkpoint: Checkpoint, size: str, dtype: jnp.dtype
) -> Outputs:
    features = whisper_features(checkpoint.network("whisper", dtype=dtype))
    tag, seconds = WHISPER[size]
    for duration in seconds:
        wave = golden_waveform(recipe, duration)
        if size == "small":  # the spectrogram has no weights
            yield f"mel/{duration}s", spectrogram(wave)
        yield (
            f"{tag}/features_{duration}s",
            features.encode(lambda wave=wave: [wave], wave.size // SAMPLES_PER_FEATURE),
        )


def run_flow_transformer(
    recipe: Recipe, checkpoint: Checkpoint, size: str, dtype: jnp.dtype
) -> Outputs:
    network, config = (
        checkpoint.network("flow_transformer", dtype=dtype),
        checkpoint.sizes("flow_transformer"),
    )
    noise = recipe.input(f"{size}/x_t", (WINDOWS, FRAMES, config.motion_width), 1)
    audio = recipe.input(
        f"{size}/audio", (WINDOWS, config.audio_frames, config.audio_width), 1
    )
    condition = jax.jit(lambda n, x: n.encode_audio(x))(network, audio)
    yield f"{size}/animate/aud_cond", condition.tokens
    yield f"{size}/animate/sync_cond", condition.per_frame
    yield f"{size}/animate/global_aud_cond", condition.pooled
    yield (
        f"{size}/animate/velocity",
        call()(network, noise, jnp.asarray([0.1, 0.7]), audio),
    )

    plan = WindowPlan(
        WINDOWS, FRAMES, config.audio_frames, stride=FRAMES, group=WINDOWS
    )
    sample = jax.jit(
        lambda n, x, condition: integrate(
            transformer_velocity, n, x, condition, n.encode_null(), jnp.asarray(WINDOWS), GUIDANCE,
            plan=plan, steps=STEPS, guided=True,
        )
    )  # fmt: skip
    motion = sample(network, noise.reshape(WINDOWS * FRAMES, -1), condition).reshape(
        noise.shape
    )
    yield f"{size}/animate/sample_cfg4.5_euler25", motion
    yield from (
        (f"statistic/{name}", value) for name, value in recipe.statistics().items()
    )
    statistics: Any = checkpoint.driver().statistics
    yield (
        f"{size}/animate/motion",
        np.asarray(motion) * statistics.std + statistics.mean,
    )


def golden_image(side: int) -> np.ndarray:
    """A picture of smooth waves, (1, side, side, 3)."""
    y, x = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side), indexing="ij")
    channels = [
        0.5 + 0.5 * np.sin(7 * x + 3 * y + c) * np.cos(5 * y - 2 * x * c)
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)[None].astype(np.float32)


def golden_waveform(recipe: Recipe, seconds: float) -> np.ndarray:
    """A swept, trembling tone with a beep and noise, at 16 kHz."""
    n = round(16_000 * seconds)
    t = np.arange(n) / 16_000
    sweep = np.sin(2 * np.pi * (180 * t + 30 * np.sin(2 * np.pi * 0.7 * t)))
    beep = np.sin(2 * np.pi * 930 * t + 1) * (np.sin(2 * np.pi * 1.7 * t) > 0)
    noise = recipe.rng("input", f"waveform/{n}").standard_normal(n)
    wave = (
        0.25 * sweep * (0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * t))
        + 0.12 * beep
        + 0.01 * noise
    )
    return wave.astype(np.float32)


def spectrogram(wave: np.ndarray, mel_bins: int = 80) -> np.ndarray:
    """The scaled log-mel of a clip, (mel bins, frames)."""
    blocks = spectrogram_blocks([wave], wave.size, 3000)
    values = jnp.concatenate(
        [
            log_mel(jnp.asarray(samples), mel_bins)[0, :valid]
            for samples, valid in blocks
        ]
    )
    return np.asarray(scale_log_mel(values, values.max())).T


def call() -> Callable:
    """A jitted call of a network."""
    return jax.jit(lambda network, *inputs: network(*inputs))


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


def channels_first(array: jax.Array) -> np.ndarray:
    return np.moveaxis(np.asarray(array, np.float32), -1, 1)


if __name__ == "__main__":
    main()
