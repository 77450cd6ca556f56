"""H.264 encoders: their choice, and their settings."""

from fractions import Fraction
from typing import Literal, cast

import av
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

Encoder = Literal["auto", "libx264", "h264_nvenc"]

MAX_CRF = 51
MAX_ENCODED_FPS = 1000  # of a file; programs that make clips may allow less


def check_format(size: tuple[int, int], fps: int | float | Fraction, crf: int) -> None:
    """Check size (width, height), frame rate and quality, which encoders refuse less
    clearly.

    Raises:
      ValueError: a value that no encoder accepts.
    """
    if any(length <= 0 or length % 2 for length in size):
        raise ValueError(
            f"yuv420p needs an even width and height, got {size[0]}x{size[1]}: crop or pad by a pixel"
        )
    if not 1 <= fps <= MAX_ENCODED_FPS:
        raise ValueError(
            f"the frame rate must be from 1 to {MAX_ENCODED_FPS}, got {float(fps):g}"
        )
    if not 0 <= crf <= MAX_CRF:
        raise ValueError(f"crf must be from 0 to {MAX_CRF}, got {crf}")


def select_encoder(
    encoder: Encoder, size: tuple[int, int], fps: Fraction, crf: int
) -> str:
    """Choose the encoder's name.

    Raises:
      ValueError: the one asked for does not open on this machine.
    """
    names = ("h264_nvenc", "libx264") if encoder == "auto" else (encoder,)
    for name in names:
        if opens(name, size, fps, crf):
            return name
    remedy = "use a smaller picture" if "libx264" in names else "use libx264"
    raise ValueError(
        f"encoder {encoder} does not open on this machine at {size[0]}x{size[1]}: {remedy}"
    )


def opens(name: str, size: tuple[int, int], fps: Fraction, crf: int) -> bool:
    """Return whether an encoder opens: its hardware or driver may be missing."""
    try:
        context = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
        configure(context, size, fps, crf)
        context.open()
    except (FFmpegError, UnknownCodecError):
        return False
    return True


def configure(
    context: VideoCodecContext, size: tuple[int, int], fps: Fraction, crf: int
) -> None:
    """Set an H.264 encoder to constant quality, with the colours of `to_picture`."""
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.framerate = fps
    context.time_base = 1 / fps
    context.colorspace = Colorspace.ITU709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.thread_type = "AUTO"  # PyAV's default, only slices, costs bits
    if context.name == "h264_nvenc":
        # to NVENC 0 means to choose for itself
        context.options = {"rc": "vbr", "cq": str(max(crf, 1))}
    else:
        context.options = {"crf": str(crf)}
