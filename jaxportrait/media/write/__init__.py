"""Write clips to files."""

from jaxportrait.media.write.h264 import Encoder, check_format, select_encoder
from jaxportrait.media.write.video import VideoWriter

__all__ = ["Encoder", "VideoWriter", "check_format", "select_encoder"]
