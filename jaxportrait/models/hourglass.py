"""The hourglass of the dense motion network.

Source: Siarohin et al., "First order motion model", 2019; LivePortrait, in 3-D.
"""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import ConvNorm
from jaxportrait.ops.resize import mean_pool


class Hourglass(nnx.Module):
    """Blocks down and up over height and width; the depth is unchanged.

    After each up block its skip is appended; the last skip is the input.

    Args:
      channels: base width, doubled by every block to `max_channels` at most.
      blocks: blocks down, and as many up.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        max_channels: int,
        blocks: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        def block(inputs: int, outputs: int, upsample: int = 1) -> ConvNorm:
            return ConvNorm(
                inputs, outputs, (3, 3, 3), upsample=upsample, dtype=dtype, rngs=rngs
            )

        # Channels at each scale, the input's scale first.
        widths = [min(max_channels, channels * 2**i) for i in range(blocks + 1)]
        down_inputs = [inputs, *widths[1:-1]]
        self.downs = nnx.List(map(block, down_inputs, widths[1:]))
        # Every up block but the first reads a skip beside the block before it.
        up_inputs = [*(2 * width for width in widths[1:-1]), widths[-1]]
        self.ups = nnx.List(
            block(up_inputs[i], widths[i], upsample=2) for i in reversed(range(blocks))
        )
        # The last skip is the input itself.
        outputs = channels + inputs
        self.last = block(outputs, outputs)

    def __call__(self, x: Float[Array, "n d h w c"]) -> Float[Array, "n d h w o"]:
        skips = [x]
        for down in self.downs:
            x = mean_pool(nnx.relu(down(x)))
            skips.append(x)
        skips.pop()  # the deepest map goes up itself
        for up in self.ups:
            x = jnp.concatenate([nnx.relu(up(x)), skips.pop()], axis=-1)
        return nnx.relu(self.last(x))
