"""The inputs of a job, read and checked before networks are loaded."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jaxportrait.animation import Sampling
from jaxportrait.drivers.emotions import read_emotions
from jaxportrait.drivers.video import DrivingCrop
from jaxportrait.driving import (
    Driving,
    DrivingMotion,
    DrivingPictures,
    open_driving,
    open_head,
)
from jaxportrait.job.request import PictureRequest, Request
from jaxportrait.media.faces.box import open_box
from jaxportrait.media.footage import Footage, is_video
from jaxportrait.media.image import read_image
from jaxportrait.media.write import (
    STILLS,
    Encoding,
    check_place,
    choose_container,
    final_place,
)
from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.panels import column_width
from jaxportrait.portrait import check_lip_sync, rate_of


@dataclass(frozen=True)
class Inputs:
    """The opened inputs of a job.

    Attributes:
      driving: opened driving file.
      head: opened file that moves all but the lips; None leaves them to `driving`.
      source: source picture, or a source video, opened.
    """

    driving: Driving
    head: DrivingMotion | DrivingPictures | None
    source: UInt8[np.ndarray, "h w 3"] | Footage

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the clip."""
        if isinstance(self.source, Footage):
            return self.source.size
        height, width, _ = self.source.shape
        return (width, height)

    @property
    def source_fps(self) -> float | None:
        """Rate of a source video; None for a picture."""
        return rate_of(self.source) if isinstance(self.source, Footage) else None


def read_inputs(request: Request) -> Inputs:
    """Open the driving files and the source, and check that the requested video can be written.

    Raises:
      ValueError, OSError: an input or an option is not usable.
    """
    container = choose_container(request.output)
    check_place(request.output)
    check_folder(final_place(request.output).parent)
    check_inputs_stay(request.output, input_files(request))
    check_template(request)
    driving = open_driving(request.driving, request.driving_kind)
    check_sampling(request, [driving])
    head = None
    if request.head_from is not None:
        head = open_head(request.head_from, driving)
    check_crop(request, (driving, head))
    inputs = Inputs(driving, head, open_source(request))
    check_source(request, inputs)
    check_form(request, inputs)
    check_face(request, inputs.size)
    Encoding.choose(
        container,
        size=frame_size(request, inputs),
        fps=request.output_fps or inputs.source_fps or driving.fps,
        crf=request.crf,
        encoder=request.encoder,
    )
    return inputs


def frame_size(request: Request, inputs: Inputs) -> tuple[int, int]:
    """Return the width and height of the output."""
    width, height = inputs.size
    if not request.side_by_side:
        return (width, height)
    # The driving face is a square of the source's height.
    face = column_width(1, 1, height) if inputs.driving.has_pictures else 0
    return (face + 2 * width, height)


def open_source(request: Request) -> UInt8[np.ndarray, "h w 3"] | Footage:
    """Read the source picture, or open the source video, as its content tells.

    Raises:
      ValueError, OSError: it cannot be read.
    """
    if is_video(request.source):
        return Footage(request.source, request.max_size)
    return read_image(request.source, request.max_size)


def check_source(request: Request, inputs: Inputs) -> None:
    """Raise a ValueError for options that have no meaning for the kind of source."""
    is_film = isinstance(inputs.source, Footage)
    request.retargeting.check_source(is_video=is_film)
    if is_film and request.box is not None:
        raise ValueError(
            "a box marks the face of a picture, and the source is a video: leave it out"
        )
    if request.lip_sync:
        check_lip_sync(request.retargeting, is_video=is_film)
    by_voice = inputs.driving.uses_driver
    if is_film and by_voice and request.lip_sync is not False:
        check_lip_sync(request.retargeting, is_video=True)
        if inputs.head is not None:
            raise ValueError(
                "lip_sync leaves the head to the source video: leave out head_from, or pass no_lip_sync"
            )
    if request.audio_priority == "source" and (by_voice or not is_film):
        reason = "speech drives" if by_voice else "the source is a picture"
        raise ValueError(
            f"audio_priority chooses between the sounds of two videos, and {reason}: leave it out"
        )


def input_files(request: Request) -> list[Path]:
    """Return the files that a clip is made of."""
    files = [request.source, request.driving]
    if request.head_from is not None:
        files.append(request.head_from)
    if request.sampling.emotion_keyframes is not None:
        files.append(request.sampling.emotion_keyframes)
    return files


def check_sampling(request: Request, inputs: Sequence[Driving]) -> None:
    """Raise a ValueError for options of sampling where nothing is sampled."""
    uses_driver = any(driving.uses_driver for driving in inputs)
    if request.sampling != Sampling() and not uses_driver:
        raise ValueError(
            "options of sampling are for sound, and other motion is not sampled: leave them out"
        )
    # A file of keyframes is wrong before the networks are loaded.
    if request.sampling.emotion_keyframes is not None:
        read_emotions(request.sampling.emotion_keyframes, MOTION_FPS)


def check_form(request: Request, inputs: Inputs) -> None:
    """Raise a ValueError unless the output can hold what the driving file makes: one
    picture, or a clip."""
    output = request.output
    if not inputs.driving.is_still or isinstance(inputs.source, Footage):
        if choose_container(output).is_still:
            raise ValueError(
                f"{output} holds one picture, and {request.driving} makes a clip: end the name in .mp4, "
                f"or number the pictures, FOLDER/%06d{output.suffix}"
            )
        return
    if output.suffix.lower() not in STILLS:
        names = ", ".join(STILLS)
        raise ValueError(
            f"{request.driving} makes one picture, and {output} is for clips: end the name in one of {names}"
        )
    if request.output_fps is not None:
        raise ValueError("one picture has no rate of frames: leave out output_fps")


def check_crop(request: Request, inputs: Sequence[Driving | None]) -> None:
    """Raise a ValueError for options of the driving crop without driving pictures."""
    has_pictures = any(
        driving is not None and driving.has_pictures for driving in inputs
    )
    if request.crop != DrivingCrop() and not has_pictures:
        raise ValueError(
            "the driving crop is cut out of videos and pictures, and nothing is cropped here: leave it out"
        )


def check_face(request: PictureRequest, size: tuple[int, int]) -> None:
    """Raise a ValueError for a box that does not tell the face.

    Args:
      size: width and height of the picture.
    """
    if request.box is None:
        return
    if request.face is not None:
        raise ValueError(
            "a box tells the face, and so does its number: leave out either"
        )
    # The box would have to be reduced with the picture.
    if request.max_size is not None:
        raise ValueError(
            "a box is in pixels of the whole picture, and max_size reduces it: leave out either"
        )
    open_box(request.box, size)


def check_folder(folder: Path) -> None:
    """Check that `folder` can be created and written to.

    Raises:
      OSError: it cannot.
    """
    path = folder.absolute()
    # The folder may be missing: what counts is the deepest one that exists.
    nearest = next(place for place in (path, *path.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise OSError(
            f"{folder} cannot be written to ({nearest} is no folder or is protected): choose another folder"
        )


def check_template(request: Request) -> None:
    """Check the file to which motion is saved.

    Raises:
      ValueError: it ends in another suffix, or is an input.
      OSError: its folder is missing or protected.
    """
    path = request.template_out
    if path is None:
        return
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} ends in {path.suffix!r}: motion ends in .safetensors")
    if path.resolve() in [file.resolve() for file in input_files(request)]:
        raise ValueError(
            f"{path} would replace an input: choose another name for the motion"
        )
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise OSError(
            f"{path} cannot be written ({path.parent} is no folder or is protected): choose another folder"
        )


def check_inputs_stay(output: Path, inputs: Iterable[Path]) -> None:
    """Raise a ValueError if an output would replace a file that it is made of."""
    # A folder of pictures is replaced with all that is in it.
    place = final_place(output).resolve()
    for file in inputs:
        path = file.resolve()
        if place in (path, *path.parents):
            raise ValueError(
                f"{output} would replace {file}: choose another name for the output"
            )
