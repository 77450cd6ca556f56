"""Audio-driven portrait animation in JAX: one picture and a speech recording become a
talking video."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxportrait.animation import Retargeting as Retargeting
    from jaxportrait.animation import Sampling as Sampling
    from jaxportrait.animator import Animator as Animator
    from jaxportrait.cache import enable_cache as enable_cache
    from jaxportrait.checkpoint import CheckpointError as CheckpointError
    from jaxportrait.media.audio import Audio as Audio
    from jaxportrait.media.faces import NoFaceError as NoFaceError
    from jaxportrait.pipeline.edits import Edits as Edits


__version__ = "0.1.0"

NAMES = {
    "Animator": "jaxportrait.animator",
    "Audio": "jaxportrait.media.audio",
    "CheckpointError": "jaxportrait.checkpoint",
    "Edits": "jaxportrait.pipeline.edits",
    "NoFaceError": "jaxportrait.media.faces",
    "Retargeting": "jaxportrait.animation",
    "Sampling": "jaxportrait.animation",
    "enable_cache": "jaxportrait.cache",
}
"""Name that users import from here -> its module."""


def __getattr__(name: str) -> Any:
    """Load a name when it is asked for: what needs only a part of the library imports
    only that part."""
    if name in NAMES:
        return getattr(import_module(NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *NAMES])
