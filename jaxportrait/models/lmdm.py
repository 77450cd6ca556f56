"""The latent motion diffusion model of Ditto: noisy motion, a condition, a frame of
earlier motion and the diffusion step -> clean motion.

Frames of motion attend to each other, and to the frames of the condition and two
tokens of the step.

Source: Li et al., "Ditto: Motion-space diffusion for controllable realtime talking head
synthesis", 2024, after EDGE (Tseng et al., 2022).
"""

from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from jaxportrait.models.blocks import (
    BlockSizes,
    check_heads,
    layer_norm,
    linear,
)
from jaxportrait.models.film_transformer import DecoderBlock, EncoderBlock, Memory
from jaxportrait.ops.rope import rotary_table
from jaxportrait.ranges import Blocks, Heads, Width, WindowLength, check_ranges
from jaxportrait.types import pytree

TIME_PERIOD = 10_000.0
"""Ratio of the highest to the lowest frequency of the step's embedding."""
TIME_TOKENS = 2
"""Tokens of the diffusion step beside the frames of the condition."""

normal = nnx.initializers.normal(1.0)


@dataclass(frozen=True)
class LMDMConfig:
    """Sizes of the LMDM: motion, condition and diffusion step -> motion.

    Attributes:
      motion_width: values of a frame of motion.
      condition_width: values of a frame of the condition.
      width: width of the tokens.
      hidden: width between the two layers of an MLP.
      heads: attention heads.
      blocks: blocks over the frames of motion.
      encoder_blocks: blocks over the frames of the condition.
      frames: frames of one window.
    """

    motion_width: Width
    condition_width: Width
    width: Width
    hidden: Width
    heads: Heads
    blocks: Blocks
    encoder_blocks: Blocks = 2
    frames: WindowLength = 80

    def __post_init__(self) -> None:
        check_ranges(self)
        check_heads(self.width, self.heads)
        # Rotary positions turn pairs of values, and waves are sines and cosines.
        if self.width % 2 or self.width < 4:
            raise ValueError(f"width is {self.width}: it must be even, and 4 or more")

    @property
    def motion_frames(self) -> int:
        """Frames of motion of a window, as plans of windows name them."""
        return self.frames

    @property
    def audio_frames(self) -> int:
        """Frames of the condition of a window: one for each frame of motion."""
        return self.frames

    @property
    def overlap(self) -> int:
        """Frames that a window shares with the next one, where windows are fused."""
        return self.frames // 2

    @classmethod
    def full(cls) -> Self:
        return cls(265, 1103, 512, 1024, 8, 8)

    @classmethod
    def tiny(cls) -> Self:
        return cls(265, 1103, 32, 48, 4, 2, frames=24)


@pytree
@dataclass(frozen=True)
class MotionCondition:
    """The part of a window's condition that all steps share: it depends on neither the
    motion nor the step.

    Attributes:
      key: keys of its frames in every block.
      value: values of its frames in every block.
      pooled: one vector of the whole window.
    """

    key: Float[Array, "n blocks t heads dim"]
    value: Float[Array, "n blocks t heads dim"]
    pooled: Float[Array, "n c"]


@pytree
@dataclass(frozen=True)
class StepTerms:
    """The part of the network that depends only on the step of the diffusion.

    Attributes:
      key: keys of the step's tokens in every block.
      value: values of its tokens in every block.
      vector: one vector of the step.
    """

    key: Float[Array, "m blocks s heads dim"]
    value: Float[Array, "m blocks s heads dim"]
    vector: Float[Array, "m c"]


class LMDM(nnx.Module):
    """Noisy motion, a condition, earlier motion and diffusion step -> clean motion."""

    def __init__(
        self, config: LMDMConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        def layer(inputs: int, outputs: int) -> nnx.Linear:
            return linear(inputs, outputs, dtype=dtype, rngs=rngs)

        width = config.width
        sizes = BlockSizes(width, config.hidden, config.heads)
        self.config = config
        self.dtype = dtype
        # In place of the condition where guidance asks for motion without one.
        frames = (1, config.frames, width)
        self.null_condition = nnx.Param(normal(rngs.params(), frames))
        self.null_pooled = nnx.Param(normal(rngs.params(), (width,)))
        # A frame of noisy motion, and the frame of earlier motion beside it.
        self.motion_in = layer(2 * config.motion_width, width)
        self.condition_in = layer(config.condition_width, width)
        self.encoder = nnx.List(
            EncoderBlock(sizes, dtype=dtype, rngs=rngs)
            for _ in range(config.encoder_blocks)
        )
        self.pool_norm = layer_norm(width, dtype=dtype, rngs=rngs)
        self.pool_expand = layer(width, width)
        self.pool_project = layer(width, width)
        self.time_expand = layer(width, 4 * width)
        self.time_vector = layer(4 * width, width)
        self.time_tokens = layer(4 * width, TIME_TOKENS * width)
        self.memory_norm = layer_norm(width, dtype=dtype, rngs=rngs)
        self.blocks = nnx.List(
            DecoderBlock(sizes, dtype=dtype, rngs=rngs) for _ in range(config.blocks)
        )
        self.motion_out = layer(width, config.motion_width)

    @property
    def rotary(self) -> Float[np.ndarray, "t+2 half 2"]:
        """Rotations of a window's frames, and of the tokens of the step after them."""
        return rotary_table(self.config.frames + TIME_TOKENS, self.config.width)

    def encode_condition(self, condition: Float[Array, "n t v"]) -> MotionCondition:
        """Compute the condition of windows.

        It is the part of the network that depends on neither motion nor step.
        """
        # Pre-norm blocks over the frames of the condition.
        x = self.condition_in(condition)
        for block in self.encoder:
            x = block(x, self.rotary[: self.config.frames])
        return self._condition(x, self.pool(x))

    def encode_null(self) -> MotionCondition:
        """Compute the condition of no condition, of batch 1."""
        frames = self.null_condition[...].astype(self.dtype)
        pooled = self.null_pooled[...].astype(self.dtype)
        return self._condition(frames, pooled[None])

    def pool(self, x: Float[Array, "n t c"]) -> Float[Array, "n c"]:
        """Compute one vector of a window's encoded condition."""
        hidden = nnx.silu(self.pool_expand(self.pool_norm(x.mean(axis=1))))
        return self.pool_project(hidden)

    def encode_step(self, time: Int[Array, " m"]) -> StepTerms:
        """Compute what depends only on diffusion steps, for all of them at once.

        Args:
          time: diffusion steps, from 0 (little noise) to 999.
        """
        embedding = self.embed_time(time)
        tokens = self.memory_norm(self.token_rows(embedding))
        # Tokens of the step follow the frames of the condition.
        key, value = self._memory(tokens, self.rotary[self.config.frames :])
        return StepTerms(key, value, self.time_vector(embedding))

    def denoise(
        self,
        motion: Float[Array, "n t d"],
        earlier: Float[Array, "n d"],
        step: StepTerms,
        condition: MotionCondition,
    ) -> Float[Array, "n t d"]:
        """Compute clean motion, in float32.

        Args:
          motion: noisy motion.
          earlier: the frame of motion before each window.
          step: result of `encode_step`, of each window or of one step for all.
          condition: result of `encode_condition` or `encode_null`.
        """
        n = len(motion)
        vector = jax.nn.mish(step.vector + condition.pooled)
        rotary = self.rotary[: self.config.frames]
        x = self.embed_motion(motion, earlier)
        for i, block in enumerate(self.blocks):
            memory = Memory(
                _append(condition.key[:, i], step.key[:, i], n),
                _append(condition.value[:, i], step.value[:, i], n),
            )
            x = block(x, vector, memory, rotary)
        # No norm after the last block; motion is float32 whatever the dtype.
        return self.motion_out(x).astype(jnp.float32)

    def embed_motion(
        self, motion: Float[Array, "n t d"], earlier: Float[Array, "n d"]
    ) -> Float[Array, "n t c"]:
        """Compute the tokens of frames of noisy motion."""
        beside = jnp.broadcast_to(earlier[:, None], motion.shape)
        return self.motion_in(
            jnp.concatenate([motion, beside], axis=-1).astype(self.dtype)
        )

    def embed_time(self, time: Int[Array, " m"]) -> Float[Array, "m 4*c"]:
        """Compute the embedding of diffusion steps."""
        waves = time_waves(time, self.config.width).astype(self.dtype)
        return jax.nn.mish(self.time_expand(waves))

    def token_rows(self, embedding: Float[Array, "m 4*c"]) -> Float[Array, "m 2 c"]:
        """Compute the tokens of diffusion steps."""
        # (m, 2 c) -> (m, 2, c)
        tokens = self.time_tokens(embedding)
        return tokens.reshape(len(tokens), TIME_TOKENS, -1)

    def __call__(
        self,
        motion: Float[Array, "n t d"],
        earlier: Float[Array, "n d"],
        time: Int[Array, " n"],
        condition: Float[Array, "n t v"],
    ) -> Float[Array, "n t d"]:
        encoded = self.encode_condition(condition)
        return self.denoise(motion, earlier, self.encode_step(time), encoded)

    def _condition(
        self, encoded: Float[Array, "n t c"], pooled: Float[Array, "n c"]
    ) -> MotionCondition:
        """Return the keys and values that every block reads of encoded frames."""
        # One norm for all blocks; frames and tokens of the step never mix in it.
        rows = self.memory_norm(encoded)
        rotary = self.rotary[: self.config.frames]
        key, value = self._memory(rows, rotary)
        return MotionCondition(key, value, pooled)

    def _memory(
        self, rows: Float[Array, "n s c"], rotary: Float[np.ndarray, "s half 2"]
    ) -> Memory:
        """Return the keys and values of normalised rows in every block, (n blocks s
        heads dim)."""
        memories = [block.cross_attention.memory(rows, rotary) for block in self.blocks]
        key = jnp.stack([memory.key for memory in memories], axis=1)
        value = jnp.stack([memory.value for memory in memories], axis=1)
        return Memory(key, value)


def time_waves(time: Int[Array, " m"], width: int) -> Float[Array, "m c"]:
    """Return the sines and then the cosines of diffusion steps, in float32.

    Frequencies run from 1 to 1 / 10 000. They are rounded as PyTorch rounds them, and
    their exponential is exact: one unit in the last place moves a wave by 1e-4.
    """
    # Half of the width for sines, half for cosines.
    half = width // 2
    slope = np.float32(-np.log(TIME_PERIOD) / (half - 1))
    exponents = np.arange(half, dtype=np.float32) * slope
    frequencies = np.exp(exponents.astype(np.float64)).astype(np.float32)
    angles = time.astype(jnp.float32)[:, None] * jnp.asarray(frequencies)[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def _append(
    frames: Float[Array, "n t heads dim"], tokens: Float[Array, "m s heads dim"], n: int
) -> Float[Array, "n t+s heads dim"]:
    """Return keys or values of a window's frames, and of the step's tokens after them.

    Args:
      n: length of the batch, to which a batch of 1 is repeated.
    """
    rows = [jnp.broadcast_to(part, (n, *part.shape[1:])) for part in (frames, tokens)]
    return jnp.concatenate(rows, axis=1)
