"""The denoiser of JoyVASA: noisy motion, audio and diffusion step -> clean motion.

A window of motion is preceded by frames of earlier motion, which it continues. Frames
of motion attend to each other. Each frame sees only its own frame of audio, so audio
comes in as a term that is added: it depends on neither motion nor step.

Source: Cao et al., "JoyVASA", 2024, after DiffPoseTalk.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from jaxportrait.models.blocks import check_heads, layer_norm, linear
from jaxportrait.ops.attention import attend
from jaxportrait.ops.dropout import KEEP, Keep
from jaxportrait.ops.resize import mean_pool_sequence
from jaxportrait.ranges import (
    Blocks,
    Heads,
    Range,
    Width,
    WindowLength,
    check_choice,
    check_ranges,
)

Positions = Literal["constant", "sequence"]

LONGEST_WAVELENGTH = 10_000.0
"""Longest wavelength of positions and steps in units of 2 pi."""

EarlierLength = Annotated[int, Range(1, 4096)]
DiffusionSteps = Annotated[int, Range(2, 10_000)]

normal = nnx.initializers.normal(1.0)


@dataclass(frozen=True)
class MotionDiffusionConfig:
    """Sizes of the denoiser: motion, audio features and diffusion step -> motion.

    Attributes:
      motion_width: values of a frame of motion.
      audio_width: values of an audio feature.
      width: width of the tokens.
      heads: attention heads.
      blocks: blocks of the transformer.
      motion_frames: frames of one window.
      audio_frames: audio features of one window; a multiple of its frames.
      earlier_frames: frames of earlier motion that precede a window.
      steps: steps of the diffusion that the network was trained on.
      positions: "sequence" tells frames apart by their positions. "constant" adds the
        same vector to all of them, as the published weights were trained.
    """

    motion_width: Width
    audio_width: Width
    width: Width
    heads: Heads
    blocks: Blocks
    motion_frames: WindowLength = 100
    audio_frames: WindowLength = 200
    earlier_frames: EarlierLength = 10
    steps: DiffusionSteps = 50
    positions: Positions = "sequence"

    def __post_init__(self) -> None:
        check_ranges(self)
        check_heads(self.width, self.heads)
        # Positions are pairs of a sine and a cosine, and the last layer halves.
        if self.width % 2:
            raise ValueError(f"width is {self.width}: it must be even")
        if self.audio_frames % self.motion_frames:
            raise ValueError(
                f"audio_frames is {self.audio_frames}: it must be a multiple of motion_frames, {self.motion_frames}"
            )
        check_choice("positions", self.positions, Positions)

    @property
    def frames(self) -> int:
        """Frames that the network sees: earlier ones and those of the window."""
        return self.earlier_frames + self.motion_frames

    @property
    def overlap(self) -> int:
        """Frames that a window shares with the next one, where windows are fused.

        Earlier frames already continue the window before, so that few are enough.
        """
        return self.motion_frames // 5

    @classmethod
    def full(cls) -> Self:
        return cls(73, 768, 256, 8, 8, positions="constant")

    @classmethod
    def tiny(cls) -> Self:
        return cls(70, 48, 32, 4, 2, 20, 40, 5, 10, "constant")


class SelfAttention(nnx.Module):
    """Multi-head attention over all frames, whose projections are one layer."""

    def __init__(self, width: int, heads: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.heads = heads
        # Queries, keys and values side by side, in this order.
        self.qkv = linear(width, 3 * width, dtype=dtype, rngs=rngs)
        self.out = linear(width, width, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: Float[Array, "n t c"], drop: Keep = KEEP
    ) -> Float[Array, "n t c"]:
        n, t, _ = x.shape
        # (n, t, 3 c) -> three of (n, t, heads, c / heads)
        projected = self.qkv(x).reshape(n, t, 3, self.heads, -1)
        query, key, value = jnp.moveaxis(projected, 2, 0)
        return self.out(attend(query, key, value, drop))


class DecoderBlock(nnx.Module):
    """Attention, the term of audio and an MLP, each added and then normalised."""

    def __init__(
        self, config: MotionDiffusionConfig, *, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        def norm() -> nnx.LayerNorm:
            return layer_norm(width, dtype=dtype, rngs=rngs)

        width = config.width
        self.attention = SelfAttention(width, config.heads, dtype=dtype, rngs=rngs)
        # An attention to a single frame of audio: its softmax is 1, so that queries and
        # keys would change nothing.
        self.audio_value = linear(width, width, dtype=dtype, rngs=rngs)
        self.audio_out = linear(width, width, dtype=dtype, rngs=rngs)
        self.expand = linear(width, 4 * width, dtype=dtype, rngs=rngs)
        self.project = linear(4 * width, width, dtype=dtype, rngs=rngs)
        self.attention_norm = norm()
        self.audio_norm = norm()
        self.mlp_norm = norm()

    def audio_term(
        self, audio: Float[Array, "n t c"], drop: Keep = KEEP
    ) -> Float[Array, "n t c"]:
        """Compute what audio adds to each frame in this block."""
        value = self.audio_value(audio)
        if drop is not KEEP:
            # The only weight of a head and frame is 1, or left out.
            heads = (*value.shape[:2], self.attention.heads, 1)
            weights = drop(jnp.ones(heads, value.dtype))
            split = value.reshape(*heads[:3], -1)
            value = (weights * split).reshape(value.shape)
        return self.audio_out(value)

    def __call__(
        self,
        x: Float[Array, "n t c"],
        audio_term: Float[Array, "m t c"],
        drop: Keep = KEEP,
    ) -> Float[Array, "m t c"]:
        x = self.attention_norm(x + drop(self.attention(x, drop)))
        # Branches of guidance differ from here on.
        x = jnp.tile(x, (len(audio_term) // len(x), 1, 1))
        x = self.audio_norm(x + drop(audio_term))
        hidden = nnx.gelu(self.expand(x), approximate=False)
        return self.mlp_norm(x + drop(self.project(drop(hidden))))


class StepEmbedding(nnx.Module):
    """Diffusion step -> a vector: sines and cosines, and an MLP."""

    def __init__(self, width: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.width = width
        self.expand = linear(width, width, dtype=dtype, rngs=rngs)
        self.project = linear(width, width, dtype=dtype, rngs=rngs)

    def __call__(self, waves: Float[Array, "n c"]) -> Float[Array, "n c"]:
        hidden = nnx.gelu(self.expand(waves), approximate=False)
        return self.project(hidden)


class MotionDiffusion(nnx.Module):
    """Noisy motion, earlier motion, diffusion step and audio -> clean motion."""

    def __init__(
        self,
        config: MotionDiffusionConfig,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        def token(*shape: int) -> nnx.Param:
            return nnx.Param(normal(rngs.params(), shape))

        width = config.width
        self.config = config
        self.dtype = dtype
        self.audio_map = linear(config.audio_width, width, dtype=dtype, rngs=rngs)
        # Learned earlier motion and audio, before the first window.
        self.start_motion = token(config.earlier_frames, config.motion_width)
        self.start_audio = token(config.earlier_frames, width)
        # In place of a frame of audio where guidance asks for no audio.
        self.null_audio = token(width)
        self.step = StepEmbedding(width, dtype=dtype, rngs=rngs)
        self.motion_in = linear(config.motion_width, width, dtype=dtype, rngs=rngs)
        self.blocks = nnx.List(
            DecoderBlock(config, dtype=dtype, rngs=rngs) for _ in range(config.blocks)
        )
        self.motion_expand = linear(width, width // 2, dtype=dtype, rngs=rngs)
        self.motion_out = linear(
            width // 2, config.motion_width, dtype=dtype, rngs=rngs
        )

    def encode_audio(self, features: Float[Array, "n s a"]) -> Float[Array, "n t c"]:
        """Compute the frames of audio of a window from its audio features."""
        # The features of a frame are averaged: (n, s, a) -> (n, t, a).
        share = self.config.audio_frames // self.config.motion_frames
        return self.audio_map(mean_pool_sequence(features, share))

    def encode_null(self) -> Float[Array, "1 t c"]:
        """Return the frames of audio of a window without audio, of batch 1."""
        null = self.null_audio[...].astype(self.dtype)
        shape = (1, self.config.motion_frames, self.config.width)
        return jnp.broadcast_to(null[None, None], shape)

    def audio_terms(
        self,
        earlier_audio: Float[Array, "n p c"],
        audio: Float[Array, "n t c"],
        drop: Keep = KEEP,
    ) -> Float[Array, "n blocks p+t c"]:
        """Compute what audio adds in every block, which is the same at every step.

        Args:
          earlier_audio: frames of audio before the window, as `encode_audio` makes them.
          audio: frames of audio of the window, or `encode_null`.
          drop: dropout of training.
        """
        parts = [earlier_audio.astype(self.dtype), audio.astype(self.dtype)]
        frames = jnp.concatenate(parts, axis=1)
        terms = [block.audio_term(frames, drop) for block in self.blocks]
        return jnp.stack(terms, axis=1)

    def denoise(
        self,
        motion: Float[Array, "n t d"],
        earlier_motion: Float[Array, "n p d"],
        step: Int[Array, " n"],
        audio_terms: Float[Array, "m blocks p+t c"],
        drop: Keep = KEEP,
    ) -> Float[Array, "m p+t d"]:
        """Compute the clean motion of earlier frames and window, in float32.

        Args:
          motion: noisy motion of the window.
          earlier_motion: clean motion before it.
          step: step of the diffusion, from 1 (little noise) to `config.steps`.
          audio_terms: result of `audio_terms` for all windows, once or, for several
            branches of the same windows, again and again.
          drop: dropout of training.
        """
        frames = jnp.concatenate([earlier_motion, motion], axis=1).astype(self.dtype)
        # The step is always known: dropout comes before it.
        x = drop(self.motion_in(frames) + self.positions())
        x = x + self.step_embedding(step)[:, None]
        for i, block in enumerate(self.blocks):
            x = block(x, audio_terms[:, i], drop)
        hidden = nnx.gelu(self.motion_expand(x), approximate=False)
        return self.motion_out(hidden).astype(jnp.float32)

    def step_embedding(self, step: Int[Array, " n"]) -> Float[Array, "n c"]:
        """Compute what the diffusion step adds to all tokens."""
        config = self.config
        # Tables in float32 whatever the dtype: half precision holds no such angles.
        waves = jnp.asarray(sinusoids(config.steps + 1, config.width))
        return self.step(waves[step].astype(self.dtype))

    def positions(self) -> Float[Array, "1 #p+t c"]:
        """Return what is added to each token, by its position or the same for all."""
        config = self.config
        table = sinusoids(config.frames + 1, config.width)
        # The published constant is the row whose number is the sequence's length.
        is_constant = config.positions == "constant"
        rows = table[config.frames :] if is_constant else table[: config.frames]
        return jnp.asarray(rows, self.dtype)[None]

    def __call__(
        self,
        motion: Float[Array, "n t d"],
        step: Int[Array, " n"],
        features: Float[Array, "n s a"],
    ) -> Float[Array, "n p+t d"]:
        """Compute the clean motion of first windows, which start tokens precede."""
        n = len(motion)
        start_motion, start_audio = self.start(n)
        terms = self.audio_terms(start_audio, self.encode_audio(features))
        return self.denoise(motion, start_motion, step, terms)

    def start(self, n: int) -> tuple[Float[Array, "n p d"], Float[Array, "n p c"]]:
        """Return the motion and the audio before `n` first windows."""

        def repeat(token: Array) -> Array:
            return jnp.broadcast_to(token[None], (n, *token.shape))

        return repeat(self.start_motion[...]), repeat(self.start_audio[...])


def sinusoids(length: int, width: int) -> Float[np.ndarray, "length width"]:
    """Return positions as sines and cosines in turn, rounded as PyTorch rounds them."""
    # Wavelengths run from 2 pi towards 10 000 * 2 pi.
    step = np.float32(-np.log(LONGEST_WAVELENGTH) / width)
    rates = np.exp(np.arange(0, width, 2, dtype=np.float32) * step)
    angles = np.arange(length, dtype=np.float32)[:, None] * rates[None, :]
    # (length, width / 2, 2) -> (length, width)
    pairs = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    return pairs.reshape(length, width).astype(np.float32)
