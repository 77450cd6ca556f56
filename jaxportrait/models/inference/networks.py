"""Inference forms of the blocks of W, G and T.

Layers that read the same input become one wide layer. What stood in their place reads
its own channels of the wide layer's output.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxportrait.models.blocks import Conv
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.models.generator import Spade, SpadeBlock, modulate
from jaxportrait.models.inference.rewrite import join, recast, replace
from jaxportrait.models.mmdit import Block, Modulation
from jaxportrait.models.warping import DenseMotionNetwork, WarpingNetwork
from jaxportrait.types import AudioCondition


class JoinedSpade(nnx.Module):
    """A SPADE norm that reads its hidden map from the maps of all norms of a block.

    Its scale and shift come from one convolution.

    Args:
      start: its first channel of those maps.
    """

    def __init__(self, spade: Spade, start: int):
        # Gamma and beta read the same hidden map.
        self.modulation = join([spade.gamma, spade.beta])
        self.start = start
        self.stop = start + spade.gamma.kernel.shape[-2]

    def __call__(
        self, x: Float[Array, "n H W c"], maps: Float[Array, "n H W k"]
    ) -> Float[Array, "n H W c"]:
        hidden = nnx.relu(maps[..., self.start : self.stop])
        gamma, beta = jnp.split(self.modulation(hidden), 2, axis=-1)
        return modulate(x, gamma, beta)


class JoinedSpadeBlock(SpadeBlock):
    """A block whose norms share the convolution over the features."""

    shared: Conv

    def __call__(
        self, x: Float[Array, "n H W c"], features: Float[Array, "n h w f"]
    ) -> Float[Array, "n H W o"]:
        # The block passes the features to its norms, which read maps here.
        return super().__call__(x, self.shared(features))


def join_norms(block: SpadeBlock) -> JoinedSpadeBlock:
    """Join the first convolutions of a block's norms."""
    norms = {"norm1": block.norm1, "norm2": block.norm2}
    if block.widens:
        norms["shortcut_norm"] = block.shortcut_norm
    # Each norm reads its own range of the shared channels.
    joined: dict[str, JoinedSpade] = {}
    start = 0
    for name, norm in norms.items():
        joined[name] = JoinedSpade(norm, start)
        start = joined[name].stop
    shared = join([norm.shared for norm in norms.values()])
    return recast(block, JoinedSpadeBlock, shared=shared, **joined)


class WideModulation(nnx.Module):
    """Several modulations of one condition, as one product.

    XLA would join them again in every evaluation on a GPU.
    """

    def __init__(self, modulations: Sequence[Modulation]):
        self.linear = join([modulation.linear for modulation in modulations])

    def __call__(self, condition: Float[Array, "n t c"]) -> Float[Array, "n t k"]:
        return self.linear(nnx.silu(condition))


class ModulationSlice(nnx.Module):
    """A modulation that reads its vectors from those of a `WideModulation`.

    Args:
      start: its first channel there.
    """

    def __init__(self, modulation: Modulation, start: int):
        self.count = modulation.count
        self.start = start
        self.stop = start + modulation.linear.out_features

    def __call__(self, vectors: Float[Array, "n t k"]) -> list[Array]:
        return jnp.split(vectors[..., self.start : self.stop], self.count, axis=-1)


class JoinedFlowTransformer(FlowTransformer):
    """T, each of whose two conditions passes one `WideModulation`."""

    per_frame_modulation: WideModulation
    overall_modulation: WideModulation

    def conditions(
        self, time: Float[Array, " n"], condition: AudioCondition
    ) -> tuple[Float[Array, "n t k"], Float[Array, "n 1 l"]]:
        per_frame, overall = super().conditions(time, condition)
        return self.per_frame_modulation(per_frame), self.overall_modulation(overall)


def join_modulations(network: FlowTransformer) -> JoinedFlowTransformer:
    """Join the modulations that read each frame's condition, and all others."""
    joints = network.joint_blocks
    motion_blocks = [*(joint.motion for joint in joints), *network.fused_blocks]
    audio_blocks = [joint.audio for joint in joints]
    # Two groups by what they read: time and frame, or time only.
    per_frame = [block.modulation for block in motion_blocks]
    overall = [block.modulation for block in audio_blocks]
    overall.append(network.final_modulation)

    # Every block reads its slice of the wide vectors.
    *audio_slices, final_slice = _slices(overall)
    motion_blocks = _with_modulations(motion_blocks, _slices(per_frame))
    audio_blocks = _with_modulations(audio_blocks, audio_slices)
    halves = zip(joints, motion_blocks[: len(joints)], audio_blocks, strict=True)
    joint_blocks = [
        replace(joint, motion=motion, audio=audio) for joint, motion, audio in halves
    ]
    return recast(
        network,
        JoinedFlowTransformer,
        per_frame_modulation=WideModulation(per_frame),
        overall_modulation=WideModulation(overall),
        joint_blocks=nnx.List(joint_blocks),
        fused_blocks=nnx.List(motion_blocks[len(joints) :]),
        final_modulation=final_slice,
    )


def _slices(modulations: Sequence[Modulation]) -> list[ModulationSlice]:
    slices: list[ModulationSlice] = []
    start = 0
    for modulation in modulations:
        slices.append(ModulationSlice(modulation, start))
        start = slices[-1].stop
    return slices


def _with_modulations(
    blocks: Sequence[Block], modulations: Sequence[ModulationSlice]
) -> list[Block]:
    pairs = zip(blocks, modulations, strict=True)
    return [replace(block, modulation=modulation) for block, modulation in pairs]


def stack_whole_planes(volume: Float[Array, "n d h w c"]) -> Float[Array, "n h w d*c"]:
    """Lay the planes of a volume side by side as channels, plane by plane.

    Whole planes are moved in runs of memory, which takes a fraction of the time of
    `warping.stack_planes`.
    """
    n, _, height, width, _ = volume.shape
    # (n, d, h, w, c) -> (n, h, w, d, c)
    return volume.transpose(0, 2, 3, 1, 4).reshape(n, height, width, -1)


class PlanesFirstDenseMotion(DenseMotionNetwork):
    """The dense motion network with whole planes as channels."""

    stack_planes = staticmethod(stack_whole_planes)


class PlanesFirstWarping(WarpingNetwork):
    """W with whole planes as channels."""

    stack_planes = staticmethod(stack_whole_planes)


def put_occlusion_planes_first(network: DenseMotionNetwork) -> DenseMotionNetwork:
    """Let the occlusion read whole planes."""
    depth = network.config.volume_depth
    occlusion = reorder_planes(network.occlusion, depth)
    return recast(network, PlanesFirstDenseMotion, occlusion=occlusion)


def put_planes_first(network: WarpingNetwork) -> WarpingNetwork:
    """Let the first convolution behind the warp read whole planes."""
    depth = network.config.volume_depth
    conv = reorder_planes(network.flatten.conv, depth)
    flatten = replace(network.flatten, conv=conv)
    return recast(network, PlanesFirstWarping, flatten=flatten)


def reorder_planes(conv: Conv, depth: int) -> Conv:
    """Reorder the inputs of a convolution for `stack_whole_planes`."""
    kernel = conv.kernel[...]
    # A trained kernel expects the planes of each channel in turn.
    *taps, inputs, outputs = kernel.shape
    # Inputs (c, d) -> (d, c)
    by_channel = kernel.reshape(*taps, inputs // depth, depth, outputs)
    by_plane = by_channel.swapaxes(-3, -2).reshape(kernel.shape)
    return replace(conv, kernel=nnx.Param(by_plane))
