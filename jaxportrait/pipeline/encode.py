"""From picture and sound to what the sampler and the renderer read: a source, and audio
features."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from jaxportrait.models.appearance import AppearanceExtractor
from jaxportrait.models.motion import MotionExtractor
from jaxportrait.models.parts import AudioEncoder
from jaxportrait.models.warping import WarpingNetwork
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.ops.spectrogram import HOP, MARGIN, log_mel, scale_log_mel
from jaxportrait.types import Motion, Source

SAMPLES_PER_FEATURE = 2 * HOP
Chunks = Iterable[Float[np.ndarray, " n"]]


@jax.jit
def extract_motion(motion: MotionExtractor, images: UInt8[Array, "n h w 3"]) -> Motion:
    """The motion of 8-bit pictures, cropped to faces; with full float32 products, as a
    source's is."""
    with jax.default_matmul_precision("highest"):
        return motion(images.astype(jnp.float32) / 255.0)


@jax.jit
def encode_source(
    appearance: AppearanceExtractor,
    motion: MotionExtractor,
    warping: WarpingNetwork,
    image: UInt8[Array, "1 h w 3"],
) -> Source:
    """All that rendering needs of a source, from its 8-bit picture cropped to the face.

    Done once a picture, and so with full float32 products, whose factors accelerators
    round by default.
    """
    picture = image.astype(jnp.float32) / 255.0
    with jax.default_matmul_precision("highest"):
        volume, own = appearance(picture), motion(picture)
    return Source(
        volume=volume,
        compressed=warping.dense_motion.compress_volume(volume),
        keypoints=transform_keypoints(
            own.keypoints,
            rotation_matrix(own.pose),
            own.expression,
            own.scale,
            own.translation,
        ),
        motion=own,
        mobility=jnp.ones((1, *volume.shape[2:4]), jnp.float32),
    )


def encode_audio(
    encoder: AudioEncoder,
    stream: Callable[[], Chunks],
    sample_count: int,
    *,
    features: int | None = None,
) -> Float[np.ndarray, "features width"]:
    """The audio features of a clip, 50 a second, whatever its length, in flat memory.

    The spectrogram is floored at the maximum of the whole clip, so the clip is streamed
    twice. It is cut into blocks of the encoder's context; the last block is padded with
    zeros after the logarithm.

    Args:
      stream: gives the clip's 16 kHz mono samples in chunks of any size, anew at each
        call.
      sample_count: of the clip.
      features: at least so many are made, by silence after the clip's end; the clip
        alone gives sample_count // 320, and more are cut off.
    """
    wanted = sample_count // SAMPLES_PER_FEATURE if features is None else features
    length = max(sample_count, wanted * SAMPLES_PER_FEATURE)
    hops = 2 * encoder.config.context

    def blocks() -> Iterator[tuple[np.ndarray, np.int32]]:
        return spectrogram_blocks(stream(), length, hops)

    maximum = jnp.asarray(-jnp.inf)
    for samples, valid in blocks():
        maximum = jnp.maximum(
            maximum, _block_maximum(samples, valid, encoder.config.mel_bins)
        )
    encoded = [
        np.asarray(_encode_block(encoder, samples, valid, maximum))[: valid // 2]
        for samples, valid in blocks()
    ]
    return np.concatenate(encoded)[:wanted]


def spectrogram_blocks(
    chunks: Chunks, length: int, hops: int
) -> Iterator[tuple[Float[np.ndarray, "1 samples"], np.int32]]:
    """Cut a clip into blocks of `hops` spectrogram frames, each with the samples its
    first and last frame reach.

    The clip is padded with silence to `length` samples and mirrored at both ends. Every
    block is of the same size; the second value is how many of its frames are of the
    clip.
    """
    block = hops * HOP
    size = block - HOP + 2 * MARGIN
    source = _with_silence(chunks, length)
    buffer = _fill(np.zeros(0, np.float32), source, size)
    buffer = np.concatenate([buffer[MARGIN:0:-1], buffer])
    for start in range(0, length // HOP, hops):
        buffer = _fill(buffer, source, size)
        if buffer.size < size:  # the clip's end
            buffer = np.concatenate([buffer, buffer[-2 : -MARGIN - 2 : -1]])
        samples = np.zeros((1, size), np.float32)
        samples[0, : min(size, buffer.size)] = buffer[:size]
        yield samples, np.int32(min(length // HOP - start, hops))
        buffer = buffer[block:]


def _fill(buffer: np.ndarray, source: Iterator[np.ndarray], size: int) -> np.ndarray:
    """The buffer, grown from `source` to `size` or to the source's end."""
    parts, total = [buffer], buffer.size
    while total < size and (chunk := next(source, None)) is not None:
        parts.append(chunk)
        total += chunk.size
    return np.concatenate(parts)


def _with_silence(chunks: Chunks, length: int) -> Iterator[np.ndarray]:
    """The chunks, then zeros to `length` samples in all."""
    for chunk in chunks:
        length -= chunk.size
        yield chunk
    if length > 0:
        yield np.zeros(length, np.float32)


@partial(jax.jit, static_argnames="mel_bins")
def _block_maximum(
    samples: Float[Array, "1 s"], valid: Int[Array, ""], mel_bins: int
) -> Float[Array, ""]:
    values = log_mel(samples, mel_bins)
    return jnp.max(values, where=_of_the_clip(values, valid), initial=-jnp.inf)


@jax.jit
def _encode_block(
    encoder: AudioEncoder,
    samples: Float[Array, "1 s"],
    valid: Int[Array, ""],
    maximum: Float[Array, ""],
) -> Float[Array, "context width"]:
    values = log_mel(samples, encoder.config.mel_bins)
    scaled = jnp.where(_of_the_clip(values, valid), scale_log_mel(values, maximum), 0.0)
    return encoder(scaled)[0].astype(jnp.float32)


def _of_the_clip(
    values: Float[Array, "1 frames mel_bins"], valid: Int[Array, ""]
) -> Bool[Array, "1 frames 1"]:
    return (jnp.arange(values.shape[1]) < valid)[None, :, None]
