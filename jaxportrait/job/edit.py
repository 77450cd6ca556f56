"""One edit: from a picture and the numbers of sliders to a picture or a video."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import UInt8

from jaxportrait.animator import Animator
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.job.events import Notify
from jaxportrait.job.inputs import check_face, check_folder, check_inputs_stay
from jaxportrait.job.load import load_animator, send
from jaxportrait.job.portraits import PortraitCache, file_key
from jaxportrait.job.request import ClipFile, Networks
from jaxportrait.job.run import save
from jaxportrait.job.stages import time_stages
from jaxportrait.job.warnings import faces_warning, uncertain_warning
from jaxportrait.media.crop import SOURCE_SCALE
from jaxportrait.media.faces.box import Box
from jaxportrait.media.image import read_image
from jaxportrait.media.write import (
    STILLS,
    Encoder,
    Encoding,
    check_count,
    check_place,
    choose_container,
    final_place,
)
from jaxportrait.models.parts import RENDERER
from jaxportrait.pipeline.edits import Edits, EditTrack, edit_parts
from jaxportrait.pipeline.keyframes import read_keyframes
from jaxportrait.portrait import Portrait
from jaxportrait.ranges import (
    Natural,
    OptionError,
    Quality,
    Range,
    VideoSide,
    check_ranges,
)

CropScale = Annotated[float, Range(1.8, 3.2)]
"""Source: LivePortrait, the range of its page for editing a picture."""


@dataclass(frozen=True)
class EditRequest:
    """One edit.

    Attributes:
      source: picture with a face.
      output: picture to write, or a video for keyframes, whose suffix decides the
        container.
      edits: the numbers of sliders.
      keyframes: TOML file of numbers at times, in place of `edits`.
      stitching: by default where the checkpoint has a network for it.
      crop_scale: side of the crop in sides of the face.
      face: number of the face, 0 the largest.
      box: left, top, width and height in pixels of a box around the face.
      max_size: longest side of the result in pixels.
      crf: constant rate factor of a video.
      encoder: H.264 encoder.
    """

    source: Path
    output: Path
    edits: Edits = field(default_factory=Edits)
    keyframes: Path | None = None
    stitching: bool | None = None
    crop_scale: CropScale = SOURCE_SCALE
    face: Natural | None = None
    box: Box | None = None
    max_size: VideoSide | None = None
    crf: Quality | None = None
    encoder: Encoder = "auto"

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.keyframes is not None and self.edits != Edits():
            raise OptionError(
                "keyframes have numbers of their own: write the others into their file"
            )

    def track(self) -> EditTrack:
        """Return the numbers of every frame.

        Raises:
          ValueError, OSError: the keyframes cannot be read.
        """
        if self.keyframes is None:
            return EditTrack.of_edits(self.edits)
        return read_keyframes(self.keyframes)


def run_edit(
    request: EditRequest,
    networks: Networks | Animator,
    notify: Notify = lambda event: None,
    *,
    portraits: PortraitCache | None = None,
) -> ClipFile:
    """Make the picture or the video of a request, and return what was written.

    It is written whole or not at all.

    Args:
      networks: an animator, or a description of one to load after the first checks.
      notify: called with every event, in the thread of the caller.
      portraits: keeps the portrait for further edits of it; by default it is prepared
        again for each.

    Raises:
      ValueError, OSError: the request cannot be fulfilled.
    """
    # All that can fail cheaply fails here.
    track = request.track()
    check_output(request, track)
    image = read_image(request.source, request.max_size)
    size = (image.shape[1], image.shape[0])
    check_face(request, size)
    Encoding.choose(
        choose_container(request.output),
        size=size,
        fps=track.fps,
        crf=request.crf,
        encoder=request.encoder,
    )
    checkpoint = None
    if isinstance(networks, Networks):
        # The description is small: a missing network is named at once.
        checkpoint = open_checkpoint(networks.checkpoint)
        checkpoint.require(RENDERER)
        edit_parts(track, checkpoint.parts, request.stitching)
    with time_stages(notify) as stage:
        animator = load_animator(
            request, networks, checkpoint, notify, stage, uses_driver=False
        )
        with stage("encoding the source"):
            portrait = prepare(request, image, animator, portraits or PortraitCache())
        send(notify, faces_warning(request, portrait))
        send(notify, uncertain_warning(portrait))
        animation = animator.edit(portrait, track, stitching=request.stitching)
        with stage("rendering", len(animation)):
            save(animation, request, notify)
    path = final_place(request.output)
    return ClipFile(path, animation.seconds, animation.size)


def prepare(
    request: EditRequest,
    image: UInt8[np.ndarray, "h w 3"],
    animator: Animator,
    portraits: PortraitCache,
) -> Portrait:
    """Find the face of a picture and encode it, where that is not yet done."""
    options = (request.face, request.box, request.crop_scale, request.max_size)
    key = (animator, file_key(request.source), options)
    return portraits.find(
        key,
        lambda: animator.prepare(
            image,
            face=request.face,
            box=request.box,
            crop_scale=request.crop_scale,
        ),
    )


def check_output(request: EditRequest, track: EditTrack) -> None:
    """Check that the result can be written.

    Raises:
      ValueError: a name of another kind, or of an input.
      OSError: something else is there, or the folder is protected.
    """
    check_count(request.output, track.count)
    if request.keyframes is None and request.output.suffix.lower() not in STILLS:
        names = ", ".join(STILLS)
        raise ValueError(
            f"an edit without keyframes makes one picture, and {request.output} is for clips: "
            f"end the name in one of {names}"
        )
    check_place(request.output)
    check_folder(final_place(request.output).parent)
    inputs = [request.source]
    if request.keyframes is not None:
        inputs.append(request.keyframes)
    check_inputs_stay(request.output, inputs)
