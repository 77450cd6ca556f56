"""Convolutions of kernels that may still change, as in training."""

from jaxtyping import Array, Float

from jaxportrait.ops.conv.maps import convolve_map, convolve_sequence
from jaxportrait.ops.conv.padding import Padding
from jaxportrait.ops.conv.volumes import convolve_volume


def convolve(
    x: Float[Array, "n *space c"],
    kernel: Float[Array, "*taps i o"],
    *,
    stride: int = 1,
    padding: Padding,
    groups: int = 1,
) -> Float[Array, "n *Space o"]:
    """Cross-correlate 1-, 2- or 3-D maps with a kernel, channels last.

    Args:
      x: input maps.
      kernel: i = c / groups.
      stride: along every axis; 1 in 3-D.
      padding: zeros before and after each axis.
      groups: groups of channels, each convolved apart from the others; 1 in 1-D and
        3-D.

    Raises:
      ValueError: a stride or groups in 3-D, or groups in 1-D, which no network here
        has.
    """
    rank = kernel.ndim - 2
    if (rank == 3 and stride > 1) or (rank != 2 and groups > 1):
        raise ValueError(
            f"a {rank}-D convolution of stride {stride} and {groups} groups: write its form"
        )
    if rank == 1:
        return convolve_sequence(x, kernel, stride=stride, padding=padding)
    if rank == 3:
        return convolve_volume(x, kernel, padding=padding)
    return convolve_map(x, kernel, stride=stride, padding=padding, groups=groups)
