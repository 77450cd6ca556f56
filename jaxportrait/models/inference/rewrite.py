"""Changed copies of layers. Nothing here changes the layer that it reads."""

from collections.abc import Sequence
from typing import Any, TypeVar

from flax import nnx

from jaxportrait.models.blocks import Conv

Module = TypeVar("Module", bound=nnx.Module)
Layer = TypeVar("Layer", Conv, nnx.Linear)


def recast(module: nnx.Module, form: type[Module], **attributes: Any) -> Module:
    """Return `module` as a `form`, a subclass of its class, with other attributes.

    Attributes that are not named are shared with `module`.
    """
    copy = form.__new__(form)
    copy.__setstate__(module.__getstate__())  # as pickling would
    for name, value in attributes.items():
        setattr(copy, name, value)
    return copy


def replace(module: Module, **attributes: Any) -> Module:
    """Return `module` with other attributes, as `dataclasses.replace` does."""
    return recast(module, type(module), **attributes)


def join(layers: Sequence[Layer]) -> Layer:
    """Return one layer with the outputs of several that read the same input."""
    first = layers[0]
    attributes: dict[str, Any] = {}
    for name, variable in vars(first).items():
        # Outputs are the last axis of kernels and biases.
        if isinstance(variable, nnx.Param):
            values = [getattr(layer, name)[...] for layer in layers]
            xp = values[0].__array_namespace__()  # NumPy's on the host
            attributes[name] = nnx.Param(xp.concatenate(values, axis=-1))
    # A linear layer also stores its number of outputs.
    if isinstance(first, nnx.Linear):
        attributes["out_features"] = attributes["kernel"].shape[-1]
    return replace(first, **attributes)
