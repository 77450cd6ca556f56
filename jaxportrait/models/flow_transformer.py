"""T, the flow transformer: noisy motion, audio and time -> the velocity towards motion.

Motion and audio tokens attend to each other in the joint blocks, each with its own
weights. The fused blocks read only motion tokens.

Source: the audio-driven LivePortrait (its AnimateNet), after MMAudio.
"""

from dataclasses import dataclass, replace
from typing import Self

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import BlockSizes, Conv, GatedConvMLP, check_heads
from jaxportrait.models.mmdit import (
    Block,
    JointBlock,
    Modulation,
    modulate,
    xavier_uniform,
)
from jaxportrait.ops.resize import resize_linear
from jaxportrait.ops.rope import rotary_frequencies, rotary_table
from jaxportrait.ranges import (
    Blocks,
    Heads,
    Natural,
    Width,
    WindowLength,
    check_ranges,
)
from jaxportrait.types import AudioCondition

TIME_PERIOD = 10_000.0
"""Highest frequency of the time embedding, whose lowest is 1, as in MMAudio."""

normal_002 = nnx.initializers.normal(0.02)


@dataclass(frozen=True)
class FlowTransformerConfig:
    """Sizes of the flow transformer T: motion, audio features and time -> velocity.

    Attributes:
      motion_width: values of a frame of motion.
      audio_width: values of an audio feature.
      width: width of the tokens.
      heads: attention heads.
      joint_blocks: blocks in which motion and audio tokens attend to each other.
      fused_blocks: blocks over the motion tokens.
      motion_frames: frames of one window.
      audio_frames: audio features of one window.
      emotions: number of emotions that it knows; 0 for a network without emotions.
    """

    motion_width: Width
    audio_width: Width
    width: Width
    heads: Heads
    joint_blocks: Blocks
    fused_blocks: Blocks
    motion_frames: WindowLength = 30
    audio_frames: WindowLength = 50
    emotions: Natural = 0

    def __post_init__(self) -> None:
        check_ranges(self)
        check_heads(self.width, self.heads)
        # Rotary positions turn pairs of values.
        if self.head_dim % 2:
            raise ValueError(
                f"a head has {self.head_dim} values, width / heads: they must be even"
            )

    @property
    def overlap(self) -> int:
        """Frames that a window shares with the next one, where windows are fused."""
        return self.motion_frames // 2

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def mlp_hidden(self) -> int:
        """Two thirds of four widths, rounded up to a multiple of 256."""
        # As in LLaMA and MMAudio; -(-a // b) rounds up.
        return 256 * -(-int(2 * 4 * self.width / 3) // 256)

    @classmethod
    def full(cls) -> Self:
        return cls(18, 384, 896, 14, 4, 8)

    @classmethod
    def tiny(cls) -> Self:
        return cls(18, 32, 64, 2, 1, 1)


class Stem(nnx.Module):
    """Values -> tokens: a convolution of 7, SiLU, and a gated convolutional MLP."""

    def __init__(
        self,
        inputs: int,
        config: FlowTransformerConfig,
        *,
        mlp_kernel: int,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        # A kernel of 7 sees 3 neighbours on either side.
        self.conv = Conv(inputs, config.width, (7,), dtype=dtype, rngs=rngs)
        self.mlp = GatedConvMLP(
            config.width, config.mlp_hidden, mlp_kernel, dtype=dtype, rngs=rngs
        )

    def __call__(self, x: Float[Array, "n t v"]) -> Float[Array, "n t c"]:
        return self.mlp(nnx.silu(self.conv(x)))


class TimeEmbedding(nnx.Module):
    """Flow time -> a vector: cosines and sines of 1 to 10 000 rad, and an MLP."""

    def __init__(self, width: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        def linear() -> nnx.Linear:
            return nnx.Linear(
                width, width, kernel_init=normal_002, dtype=dtype, rngs=rngs
            )

        self.width = width
        self.expand = linear()
        self.project = linear()

    def __call__(self, time: Float[Array, " n"]) -> Float[Array, "n c"]:
        # float32 whatever the dtype: half precision cannot hold such angles.
        frequencies = jnp.asarray(time_frequencies(self.width))
        angles = time.astype(jnp.float32)[:, None] * frequencies[None, :]
        waves = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)
        return self.project(nnx.silu(self.expand(waves)))


class FlowTransformer(nnx.Module):
    """Noisy motion, audio condition and time -> velocity."""

    def __init__(
        self,
        config: FlowTransformerConfig,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        def stem(inputs: int, mlp_kernel: int) -> Stem:
            return Stem(inputs, config, mlp_kernel=mlp_kernel, dtype=dtype, rngs=rngs)

        width = config.width
        sizes = BlockSizes(width, config.mlp_hidden, config.heads)
        self.config = config
        self.motion_stem = stem(config.motion_width, mlp_kernel=7)
        self.audio_stem = stem(config.audio_width, mlp_kernel=3)
        self.pooled_audio = nnx.Linear(
            width, width, kernel_init=xavier_uniform, dtype=dtype, rngs=rngs
        )
        self.time = TimeEmbedding(width, dtype=dtype, rngs=rngs)
        # In place of audio where guidance asks for the unconditional velocity.
        self.null_audio = nnx.Param(jnp.zeros((config.audio_width,)))
        # Zero, so that a network that learns emotions starts as one without them.
        if config.emotions:
            self.emotions = nnx.Param(jnp.zeros((config.emotions, width)))
        # Nothing reads the audio stream after the last joint block.
        self.joint_blocks = nnx.List(
            JointBlock(sizes, last=i == config.joint_blocks - 1, dtype=dtype, rngs=rngs)
            for i in range(config.joint_blocks)
        )
        self.fused_blocks = nnx.List(
            Block(sizes, dtype=dtype, rngs=rngs) for _ in range(config.fused_blocks)
        )
        self.final_modulation = Modulation(width, 2, dtype=dtype, rngs=rngs)
        self.final_conv = Conv(width, config.motion_width, (7,), dtype=dtype, rngs=rngs)
        # A fresh network's velocity is zero.
        for leaf in (self.final_conv.kernel, self.final_conv.bias):
            leaf[...] = jnp.zeros_like(leaf[...])

    def encode_audio(self, audio: Float[Array, "n s a"]) -> AudioCondition:
        """Compute the condition of windows of audio features.

        It is the part of the network that does not depend on motion or time.
        """
        tokens = self.audio_stem(audio)
        return AudioCondition(
            tokens=tokens,
            per_frame=resize_linear(tokens, self.config.motion_frames),
            pooled=self.pooled_audio(tokens.mean(axis=1)),
        )

    def encode_null(self) -> AudioCondition:
        """Compute the condition of no audio, of batch 1.

        A learned vector stands in place of every RAW audio feature.
        """
        # One vector for the whole window; it passes the same layers as audio does.
        shape = (1, self.config.audio_frames, self.config.audio_width)
        audio = jnp.broadcast_to(self.null_audio[...][None, None], shape)
        return self.encode_audio(audio)

    def add_emotion(
        self, condition: AudioCondition, emotion: Float[Array, "n e"]
    ) -> AudioCondition:
        """Add emotions to the condition that all frames share.

        Args:
          condition: result of `encode_audio` or `encode_null`.
          emotion: strength of each emotion, 1 as at its highest level; all 0 is none.
        """
        # An emotion is a direction, and its strength a distance.
        vector = emotion @ self.emotions[...]
        pooled = condition.pooled + vector.astype(condition.pooled.dtype)
        return replace(condition, pooled=pooled)

    def velocity(
        self,
        motion: Float[Array, "n t d"],
        time: Float[Array, " n"],
        condition: AudioCondition,
    ) -> Float[Array, "n t d"]:
        """Compute the velocity at `motion` and flow `time`, in float32.

        Args:
          motion: noisy motion.
          time: 0 is noise, 1 is motion.
          condition: result of `encode_audio`.
        """
        # Motion tokens are modulated frame by frame, audio tokens all alike.
        per_frame, overall = self.conditions(time, condition)
        motion_rotary, audio_rotary = rotary_tables(self.config)
        # Values -> tokens of both streams.
        x = self.motion_stem(motion)
        audio = condition.tokens
        for joint in self.joint_blocks:
            x, audio = joint(x, audio, per_frame, overall, motion_rotary, audio_rotary)
        for fused in self.fused_blocks:
            x = fused(x, per_frame, motion_rotary)
        # Tokens -> velocity. The last modulation is the same for all frames.
        shift, scale = self.final_modulation(overall)
        return self.final_conv(modulate(x, shift, scale)).astype(jnp.float32)

    def conditions(
        self, time: Float[Array, " n"], condition: AudioCondition
    ) -> tuple[Float[Array, "n t c"], Float[Array, "n 1 c"]]:
        """Return what modulates the motion tokens, and what modulates all others."""
        # (n, c) -> (n, 1, c), to broadcast over frames.
        overall = (self.time(time) + condition.pooled)[:, None, :]
        return overall + condition.per_frame, overall

    def __call__(
        self,
        motion: Float[Array, "n t d"],
        time: Float[Array, " n"],
        audio: Float[Array, "n s a"],
        emotion: Float[Array, "n e"] | None = None,
    ) -> Float[Array, "n t d"]:
        condition = self.encode_audio(audio)
        if emotion is not None:
            condition = self.add_emotion(condition, emotion)
        return self.velocity(motion, time, condition)


def rotary_tables(
    config: FlowTransformerConfig,
) -> tuple[Float[np.ndarray, "t half 2"], Float[np.ndarray, "s half 2"]]:
    """Return the tables of motion and of audio: equal times have equal angles."""
    # Positions count frames of motion: 50 features span 30 of them.
    rate = config.motion_frames / config.audio_frames
    return (
        rotary_table(config.motion_frames, config.head_dim),
        rotary_table(config.audio_frames, config.head_dim, position_scale=rate),
    )


def time_frequencies(width: int) -> Float[np.ndarray, " width/2"]:
    """Return frequencies from 10 000 down to 1, rounded as PyTorch rounds them.

    At angles of 10 000 rad one float32 step is 1e-3, so another rounding is another
    embedding.
    """
    # Half as many frequencies as values: each has a cosine and a sine.
    return rotary_frequencies(width) * np.float32(TIME_PERIOD)
