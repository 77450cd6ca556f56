"""Audio-driven portrait animation in JAX: one picture and a speech recording become a
talking video."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxportrait.animator import Animator as Animator


__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `Animator` when it is asked for: what needs only a part of the library
    imports only that part."""
    if name == "Animator":
        from jaxportrait.animator import Animator

        return Animator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
