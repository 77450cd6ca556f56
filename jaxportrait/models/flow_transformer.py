"""T, the flow transformer: noisy motion, audio and time -> the velocity towards motion.

Motion and audio tokens attend to each other in the joint blocks, each with its own
weights; the fused blocks see motion alone. Source: the audio-driven LivePortrait (its
AnimateNet), after MMAudio and "Scaling rectified flow transformers for high-resolution
image synthesis" (MM-DiT), 2024.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import NORM_EPSILON, Conv, GatedConvMLP, join
from jaxportrait.ops.resize import resize_linear
from jaxportrait.ops.rope import rotary_table, rotate
from jaxportrait.types import AudioCondition

RMS_EPSILON = float(np.finfo(np.float32).eps)
TIME_PERIOD = 10_000.0

xavier_uniform = nnx.initializers.xavier_uniform()
normal_002 = nnx.initializers.normal(0.02)
zeros = nnx.initializers.zeros


@dataclass(frozen=True)
class FlowTransformerConfig:
    """Flow transformer T: noisy motion, audio features and time -> velocity.

    Attributes:
      motion_width: values a frame of motion.
      audio_width: values an audio feature.
      width: of the tokens.
      joint_blocks: in which motion and audio tokens attend to each other, each with its
        own weights.
      fused_blocks: on the motion tokens alone.
      motion_frames, audio_frames: of one window.
    """

    motion_width: int
    audio_width: int
    width: int
    heads: int
    joint_blocks: int
    fused_blocks: int
    motion_frames: int = 30
    audio_frames: int = 50

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def mlp_hidden(self) -> int:
        """Two thirds of four widths, rounded up to a multiple of 256."""
        return 256 * -(-int(2 * 4 * self.width / 3) // 256)

    @classmethod
    def full(cls) -> Self:
        return cls(18, 384, 896, 14, 4, 8)

    @classmethod
    def tiny(cls) -> Self:
        return cls(18, 32, 64, 2, 1, 1)


def linear(
    inputs: int,
    outputs: int,
    *,
    kernel_init=xavier_uniform,
    dtype: DTypeLike,
    rngs: nnx.Rngs,
) -> nnx.Linear:
    return nnx.Linear(inputs, outputs, kernel_init=kernel_init, dtype=dtype, rngs=rngs)


class QueryKeyValue(nnx.Module):
    """One projection to the queries, keys and values of every head; RMS norm on queries
    and keys, then rotation."""

    def __init__(self, width: int, heads: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        shape = (3, heads, width // heads)
        self.kernel = nnx.Param(
            xavier_uniform(rngs.params(), (width, 3 * width)).reshape(width, *shape)
        )
        self.bias = nnx.Param(jnp.zeros(shape))
        self.query_norm, self.key_norm = (
            nnx.RMSNorm(shape[-1], epsilon=RMS_EPSILON, dtype=dtype, rngs=rngs)
            for _ in range(2)
        )
        self.dtype = dtype

    def __call__(
        self, x: Float[Array, "n t c"], rotary: Float[np.ndarray, "t half 2"]
    ) -> tuple[Array, Array, Array]:
        kernel, bias = (
            self.kernel[...].astype(self.dtype),
            self.bias[...].astype(self.dtype),
        )
        projected = jnp.einsum("ntc,cphd->pnthd", x.astype(self.dtype), kernel)
        query, key, value = projected + bias[:, None, None]
        return (
            rotate(self.query_norm(query), rotary),
            rotate(self.key_norm(key), rotary),
            value,
        )


class Modulation(nnx.Module):
    """adaLN: a condition -> `parts` vectors (shift, scale, gate, ...) over the
    channels."""

    def __init__(self, width: int, parts: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.parts = parts
        self.linear = linear(
            width, parts * width, kernel_init=zeros, dtype=dtype, rngs=rngs
        )

    def __call__(self, condition: Float[Array, "n t c"]) -> list[Array]:
        return jnp.split(self.linear(nnx.silu(condition)), self.parts, axis=-1)


class JoinedModulations(nnx.Module):
    """Several modulations of one condition, as one product: a condition -> the vectors
    of each."""

    def __init__(self, modulations: Sequence[Modulation]):
        self.parts = tuple(each.parts for each in modulations)
        self.linear = join([each.linear for each in modulations])

    def __call__(self, condition: Float[Array, "n t c"]) -> list[list[Array]]:
        vectors = iter(
            jnp.split(self.linear(nnx.silu(condition)), sum(self.parts), axis=-1)
        )
        return [list(islice(vectors, count)) for count in self.parts]


class Block(nnx.Module):
    """One stream's half of a joint block, or a whole fused block.

    Args:
      ends: whether the stream ends at the attention: the last audio half only lends its
        keys and values.
    """

    def __init__(
        self,
        config: FlowTransformerConfig,
        *,
        ends: bool = False,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        width = config.width
        self.modulation: Any = nnx.data(
            Modulation(width, 2 if ends else 6, dtype=dtype, rngs=rngs)
        )
        self.qkv = QueryKeyValue(width, config.heads, dtype=dtype, rngs=rngs)
        if not ends:
            self.out = Conv(width, width, (3,), dtype=dtype, rngs=rngs)
            self.mlp = GatedConvMLP(width, config.mlp_hidden, 3, dtype=dtype, rngs=rngs)

    def project(
        self,
        x: Float[Array, "n t c"],
        modulation: Sequence[Array],
        rotary: Float[np.ndarray, "t half 2"],
    ) -> tuple[tuple[Array, Array, Array], list[Array]]:
        """Queries, keys and values, and what of the modulation `finish` needs."""
        shift, scale, *rest = modulation
        return self.qkv(modulate(x, shift, scale), rotary), rest

    def finish(
        self,
        x: Float[Array, "n t c"],
        attended: Float[Array, "n t c"],
        rest: list[Array],
    ) -> Array:
        gate, mlp_shift, mlp_scale, mlp_gate = rest
        x = x + self.out(attended) * gate
        return x + self.mlp(modulate(x, mlp_shift, mlp_scale)) * mlp_gate

    def __call__(
        self,
        x: Float[Array, "n t c"],
        modulation: Sequence[Array],
        rotary: Float[np.ndarray, "t half 2"],
    ) -> Float[Array, "n t c"]:
        qkv, rest = self.project(x, modulation, rotary)
        return self.finish(x, attend(*qkv), rest)


class JointBlock(nnx.Module):
    """A motion and an audio half that attend over both streams' tokens, motion
    first."""

    def __init__(
        self,
        config: FlowTransformerConfig,
        *,
        last: bool,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.last = last
        self.motion = Block(config, dtype=dtype, rngs=rngs)
        self.audio = Block(config, ends=last, dtype=dtype, rngs=rngs)

    def __call__(
        self,
        motion: Float[Array, "n t c"],
        audio: Float[Array, "n s c"],
        motion_modulation: Sequence[Array],
        audio_modulation: Sequence[Array],
        motion_rotary: Float[np.ndarray, "t half 2"],
        audio_rotary: Float[np.ndarray, "s half 2"],
    ) -> tuple[Array, Array]:
        motion_qkv, motion_rest = self.motion.project(
            motion, motion_modulation, motion_rotary
        )
        audio_qkv, audio_rest = self.audio.project(
            audio, audio_modulation, audio_rotary
        )
        attended = attend(
            *(
                jnp.concatenate(pair, axis=1)
                for pair in zip(motion_qkv, audio_qkv, strict=True)
            )
        )
        frames = motion.shape[1]
        motion = self.motion.finish(motion, attended[:, :frames], motion_rest)
        return motion, audio if self.last else self.audio.finish(
            audio, attended[:, frames:], audio_rest
        )


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
        self.conv = Conv(inputs, config.width, (7,), dtype=dtype, rngs=rngs)
        self.mlp = GatedConvMLP(
            config.width, config.mlp_hidden, mlp_kernel, dtype=dtype, rngs=rngs
        )

    def __call__(self, x: Float[Array, "n t v"]) -> Float[Array, "n t c"]:
        return self.mlp(nnx.silu(self.conv(x)))


class TimeEmbedding(nnx.Module):
    """Flow time -> a vector: cosines and sines of frequencies from 1 to 10 000, and an
    MLP."""

    def __init__(self, width: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.expand, self.project = (
            linear(width, width, kernel_init=normal_002, dtype=dtype, rngs=rngs)
            for _ in range(2)
        )
        self.width = width

    def __call__(self, time: Float[Array, " n"]) -> Float[Array, "n c"]:
        angles = (
            time.astype(jnp.float32)[:, None]
            * jnp.asarray(time_frequencies(self.width))[None, :]
        )
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
        self.config = config
        self.motion_stem = Stem(
            config.motion_width, config, mlp_kernel=7, dtype=dtype, rngs=rngs
        )
        self.audio_stem = Stem(
            config.audio_width, config, mlp_kernel=3, dtype=dtype, rngs=rngs
        )
        self.pooled_audio = linear(config.width, config.width, dtype=dtype, rngs=rngs)
        self.time = TimeEmbedding(config.width, dtype=dtype, rngs=rngs)
        self.null_audio = nnx.Param(jnp.zeros((config.audio_width,)))
        self.joint_blocks = nnx.List(
            JointBlock(
                config, last=i == config.joint_blocks - 1, dtype=dtype, rngs=rngs
            )
            for i in range(config.joint_blocks)
        )
        self.fused_blocks = nnx.List(
            Block(config, dtype=dtype, rngs=rngs) for _ in range(config.fused_blocks)
        )
        self.final_modulation: Any = nnx.data(
            Modulation(config.width, 2, dtype=dtype, rngs=rngs)
        )
        self.joined: Any = nnx.data(None)
        self.final_conv = Conv(
            config.width, config.motion_width, (7,), dtype=dtype, rngs=rngs
        )
        for leaf in (self.final_conv.kernel, self.final_conv.bias):
            leaf[...] = jnp.zeros_like(leaf[...])

    def encode_audio(self, audio: Float[Array, "n s a"]) -> AudioCondition:
        """The condition of windows of audio features: what of the network does not
        depend on motion or time."""
        tokens = self.audio_stem(audio)
        return AudioCondition(
            tokens=tokens,
            per_frame=resize_linear(tokens, self.config.motion_frames),
            pooled=self.pooled_audio(tokens.mean(axis=1)),
        )

    def encode_null(self) -> AudioCondition:
        """The condition of no audio, of batch 1: the learned vector in place of every
        RAW audio feature."""
        shape = (1, self.config.audio_frames, self.config.audio_width)
        return self.encode_audio(
            jnp.broadcast_to(self.null_audio[...][None, None], shape)
        )

    def velocity(
        self,
        motion: Float[Array, "n t d"],
        time: Float[Array, " n"],
        condition: AudioCondition,
    ) -> Float[Array, "n t d"]:
        """The velocity at `motion` and flow `time` (0 is noise, 1 is motion), in
        float32."""
        overall = (self.time(time) + condition.pooled)[:, None, :]
        per_frame = overall + condition.per_frame
        motion_rotary, audio_rotary = rotary_tables(self.config)
        x, audio = self.motion_stem(motion), condition.tokens
        of_motion, (*of_audio, (shift, scale)) = self._modulations(per_frame, overall)
        joints = len(self.joint_blocks)
        for joint, own, heard in zip(
            self.joint_blocks, of_motion[:joints], of_audio, strict=True
        ):
            x, audio = joint(x, audio, own, heard, motion_rotary, audio_rotary)
        for fused, own in zip(self.fused_blocks, of_motion[joints:], strict=True):
            x = fused(x, own, motion_rotary)
        return self.final_conv(modulate(x, shift, scale)).astype(jnp.float32)

    def _modulations(
        self, per_frame: Float[Array, "n t c"], overall: Float[Array, "n 1 c"]
    ) -> tuple[list[list[Array]], list[list[Array]]]:
        """Those of the motion halves and the fused blocks; and those of the audio
        halves and of the end."""
        if self.joined is not None:
            of_motion, of_audio = self.joined
            return of_motion(per_frame), of_audio(overall)
        of_motion, of_audio = self._by_condition()
        return [each(per_frame) for each in of_motion], [
            each(overall) for each in of_audio
        ]

    def _by_condition(self) -> tuple[list[Modulation], list[Modulation]]:
        """The modulations that read each frame's condition, and those that read the
        overall one."""
        of_motion = [*(joint.motion.modulation for joint in self.joint_blocks)]
        of_motion += [fused.modulation for fused in self.fused_blocks]
        return of_motion, [
            *(joint.audio.modulation for joint in self.joint_blocks),
            self.final_modulation,
        ]

    def fold(self) -> None:
        """Modulations of the same condition become one, which XLA would do anew in
        every evaluation on a GPU."""
        if self.joined is None:
            self.joined = nnx.List(
                JoinedModulations(each) for each in self._by_condition()
            )
            halves = [
                half
                for joint in self.joint_blocks
                for half in (joint.motion, joint.audio)
            ]
            for block in (*halves, *self.fused_blocks):
                block.modulation = None
            self.final_modulation = None

    def __call__(
        self,
        motion: Float[Array, "n t d"],
        time: Float[Array, " n"],
        audio: Float[Array, "n s a"],
    ) -> Float[Array, "n t d"]:
        return self.velocity(motion, time, self.encode_audio(audio))


def attend(
    query: Float[Array, "n t h d"],
    key: Float[Array, "n t h d"],
    value: Float[Array, "n t h d"],
) -> Float[Array, "n t c"]:
    """Multi-head attention, softmax in float32, heads joined."""
    attended = nnx.dot_product_attention(query, key, value, dtype=value.dtype)
    return attended.reshape(*attended.shape[:2], -1)


def modulate(
    x: Float[Array, "n t c"], shift: Float[Array, "n s c"], scale: Float[Array, "n s c"]
) -> Array:
    """LayerNorm without weights, then `* (1 + scale) + shift`; s is t, or 1 for all
    tokens."""
    wide = x.astype(jnp.float32)
    mean = wide.mean(axis=-1, keepdims=True)
    variance = jnp.square(wide - mean).mean(axis=-1, keepdims=True)
    normed = ((wide - mean) / jnp.sqrt(variance + NORM_EPSILON)).astype(x.dtype)
    return normed * (1 + scale) + shift


def rotary_tables(
    config: FlowTransformerConfig,
) -> tuple[Float[np.ndarray, "t half 2"], Float[np.ndarray, "s half 2"]]:
    """Of motion and of audio, whose positions are scaled so that equal times have equal
    angles."""
    rate = config.motion_frames / config.audio_frames
    return (
        rotary_table(config.motion_frames, config.head_dim),
        rotary_table(config.audio_frames, config.head_dim, position_scale=rate),
    )


def time_frequencies(width: int) -> Float[np.ndarray, " width/2"]:
    """Frequencies from 10 000 down, as PyTorch rounds them: the power in float64, the
    rest in float32.

    At angles of 10 000 rad one float32 step is 1e-3, so another rounding is another
    embedding.
    """
    exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    periods = (TIME_PERIOD ** exponents.astype(np.float64)).astype(np.float32)
    return np.float32(1.0) / periods * np.float32(TIME_PERIOD)
