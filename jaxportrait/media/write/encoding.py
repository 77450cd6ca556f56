"""The encoding of a clip's pictures: chosen and checked before its first frame."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self, cast

import av
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

from jaxportrait.media.rates import exact_rate
from jaxportrait.media.write.containers import H264, Container

Encoder = Literal["auto", "libx264", "h264_nvenc"]

MAX_CRF = 51
DEFAULT_CRF = 18
"""Hardly to be told from the pictures themselves."""


@dataclass(frozen=True)
class Encoding:
    """The encoding of a clip's pictures.

    Attributes:
      container: the container.
      size: width and height in pixels.
      fps: frames per second.
      crf: constant rate factor of H.264.
      encoder: FFmpeg's name.
    """

    container: Container
    size: tuple[int, int]
    fps: Fraction
    crf: int
    encoder: str

    @classmethod
    def choose(
        cls,
        container: Container,
        *,
        size: tuple[int, int],
        fps: int | float | Fraction,
        crf: int | None = None,
        encoder: Encoder = "auto",
    ) -> Self:
        """Choose the first encoder that opens on this machine.

        Raises:
          ValueError: a size, rate, quality or encoder that is not available.
        """
        check_format(container, size, fps, crf)
        exact_fps = exact_rate(fps)
        quality = DEFAULT_CRF if crf is None else crf
        names = encoder_names(container, encoder)
        for name in names:
            encoding = cls(container, size, exact_fps, quality, name)
            if encoding.opens():
                return encoding
        remedy = "use libx264" if encoder == "h264_nvenc" else "use a smaller picture"
        raise ValueError(
            f"encoder {encoder} does not open on this machine at {size[0]}x{size[1]}: {remedy}"
        )

    def opens(self) -> bool:
        """Return whether the encoder opens: its hardware or driver may be missing."""
        try:
            context = cast(VideoCodecContext, av.CodecContext.create(self.encoder, "w"))
            self.configure(context)
            context.open()
        except (FFmpegError, UnknownCodecError):
            return False
        return True

    def configure(self, context: VideoCodecContext) -> None:
        """Set an encoder to constant quality, with the colours of `to_picture`."""
        codec = self.container.pictures
        context.width, context.height = self.size
        context.pix_fmt = "pal8" if self.encoder == "gif" else codec.pixels
        context.framerate = self.fps
        context.time_base = 1 / self.fps
        context.thread_type = "AUTO"  # PyAV's default, only slices, costs bits
        context.options = {**codec.options, **self._quality()}
        if codec.pixels == "yuv420p":
            context.colorspace = Colorspace.ITU709
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709

    def _quality(self) -> dict[str, str]:
        max_crf = self.container.pictures.max_crf
        if not max_crf:
            return {}
        if self.encoder == "h264_nvenc":
            # to NVENC 0 means to choose for itself
            return {"rc": "vbr", "cq": str(max(self.crf, 1))}
        # VP9's factors have another range; without a bit rate they decide.
        crf = round(self.crf * max_crf / MAX_CRF)
        return {"crf": str(crf), "b": "0"}


def encoder_names(container: Container, encoder: Encoder) -> tuple[str, ...]:
    """Return the encoders to try, the preferred first.

    Raises:
      ValueError: the container does not hold what `encoder` makes.
    """
    if encoder == "auto":
        return container.pictures.encoders
    if container.pictures != H264:
        raise ValueError(
            f"encoder {encoder} makes H.264, which {container.muxer} does not hold: use mp4 or mkv"
        )
    return (encoder,)


def check_format(
    container: Container,
    size: tuple[int, int],
    fps: int | float | Fraction,
    crf: int | None,
) -> None:
    """Check size (width, height), frame rate and quality, which encoders refuse less
    clearly.

    Raises:
      ValueError: a value that the container or its encoders do not accept.
    """
    is_halved = container.pictures.pixels == "yuv420p"
    if any(length <= 0 or (is_halved and length % 2) for length in size):
        raise ValueError(
            f"yuv420p needs an even width and height, got {size[0]}x{size[1]}: crop or pad by a pixel"
        )
    if not 1 <= fps <= container.max_fps:
        raise ValueError(
            f"the frame rate must be from 1 to {container.max_fps}, got {float(fps):g}"
        )
    if crf is None:
        return
    if not container.pictures.max_crf:
        raise ValueError(
            f"crf is {crf}, and {container.muxer} has no such quality: leave it out, or write mp4, mkv or webm"
        )
    if not 0 <= crf <= MAX_CRF:
        raise ValueError(f"crf must be from 0 to {MAX_CRF}, got {crf}")
