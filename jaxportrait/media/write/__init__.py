"""Write clips to files."""

from jaxportrait.media.write.containers import (
    CONTAINERS,
    STILLS,
    check_count,
    choose_container,
    find_container,
    has_suffix,
)
from jaxportrait.media.write.encoding import Encoder, Encoding
from jaxportrait.media.write.place import (
    MAX_NAME_BYTES,
    check_place,
    final_place,
    shorten,
)
from jaxportrait.media.write.video import VideoWriter

__all__ = [
    "CONTAINERS",
    "MAX_NAME_BYTES",
    "STILLS",
    "Encoder",
    "Encoding",
    "VideoWriter",
    "check_count",
    "check_place",
    "choose_container",
    "final_place",
    "find_container",
    "has_suffix",
    "shorten",
]
