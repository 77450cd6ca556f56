"""Networks whose weights no longer change, rewritten to do the same in less time.

Norms with stored statistics go into the weights beside them. Convolutions and products
that read the same input become one. What can be done to a kernel once is done once.
"""

from collections.abc import Callable
from typing import Any

from flax import nnx

from jaxportrait.models.blocks import Conv, ConvNorm, GatedConvMLP, SpectralConv
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.models.generator import SpadeBlock
from jaxportrait.models.inference.layers import (
    JoinedGatedConvMLP,
    fold_batch_norm,
    fold_spectral_norm,
    prepare_kernel,
)
from jaxportrait.models.inference.networks import (
    join_modulations,
    join_norms,
    put_occlusion_planes_first,
    put_planes_first,
)
from jaxportrait.models.inference.rewrite import replace
from jaxportrait.models.warping import DenseMotionNetwork, WarpingNetwork

FORMS: dict[type[nnx.Module], Callable[[Any], nnx.Module]] = {
    Conv: prepare_kernel,
    ConvNorm: fold_batch_norm,
    SpectralConv: fold_spectral_norm,
    GatedConvMLP: JoinedGatedConvMLP,
    SpadeBlock: join_norms,
    DenseMotionNetwork: put_occlusion_planes_first,
    WarpingNetwork: put_planes_first,
    FlowTransformer: join_modulations,
}
"""Class -> the function from its module to the inference form.

A form may hold modules of other classes of the table. A function returns its argument
where there is nothing to rewrite.
"""


def for_inference(network: nnx.Module) -> Any:
    """Return the inference form of a network, in evaluation mode.

    `network` is left as it is. Only plain arithmetic is used, so that weights still on
    the host are rewritten there and nothing is compiled.
    """
    # Layers share arrays with the clone; the rewrites replace them, and change none.
    form = _rewrite(nnx.clone(network))
    form.eval()
    return form


def _rewrite(module: nnx.Module) -> nnx.Module:
    """Rewrite a module until no function of the table changes it, then its children."""
    form = FORMS.get(type(module), lambda unchanged: unchanged)(module)
    # A folded ConvNorm is a Conv, whose kernel can still be prepared.
    if form is not module:
        return _rewrite(form)
    # Nothing is left to rewrite but what it holds.
    children: dict[str, nnx.Module] = {}
    for name, child in vars(module).items():
        if isinstance(child, nnx.Module):
            children[name] = _rewrite(child)
    return replace(module, **children)
