"""One clip in which all faces of a picture move."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jaxportrait.animation import Animation, Sampling
from jaxportrait.animator import Animator
from jaxportrait.driving import ClipOptions
from jaxportrait.job.cache import JobCache
from jaxportrait.job.events import JobNote, JobWarning, Notify
from jaxportrait.job.inputs import (
    Inputs,
    check_inputs_stay,
    check_sampling,
    read_inputs,
)
from jaxportrait.job.load import load_animator, open_networks, send
from jaxportrait.job.request import ClipFile, Networks, Request
from jaxportrait.job.run import keeps_openness, save
from jaxportrait.job.stages import Stage, time_stages
from jaxportrait.job.warnings import (
    level_warning,
    photograph_warning,
    sound_warning,
    uncertain_warning,
)
from jaxportrait.media.footage import Footage
from jaxportrait.media.write import final_place
from jaxportrait.portrait import Portrait
from jaxportrait.ranges import OptionError

SEEDS = 2**32


@dataclass(frozen=True)
class FacesRequest:
    """A clip of all faces of a picture.

    Attributes:
      clip: the clip, as if only the largest face moved.
      others: driving files of the second face and of the following ones, the largest
        first; by default the clip's moves all.
    """

    clip: Request
    others: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        options = {"face": self.clip.face, "box": self.clip.box}
        options["template_out"] = self.clip.template_out
        options["side_by_side"] = self.clip.side_by_side or None
        for name, value in options.items():
            if value is not None:
                raise OptionError(
                    f"{name} is for one face, and all of them move: leave out either"
                )

    def requests(self) -> list[Request]:
        """Return a request for each driving file."""
        return [self.clip, *(replace(self.clip, driving=path) for path in self.others)]


def run_faces(
    request: FacesRequest,
    networks: Networks | Animator,
    notify: Notify = lambda event: None,
    cache: JobCache | None = None,
) -> ClipFile:
    """Make the clip of a request, and return what was written; see `run_job`.

    A driver of sound makes motion for each face, with a seed of its own, so that faces
    with one voice are not copies of each other.

    Raises:
      ValueError, OSError: the request cannot be fulfilled.
    """
    cache = cache or JobCache()
    clip = request.clip
    files = read_all(request)
    picture = read_picture(clip, files[0])
    # A sound needs the driver, whichever face it moves.
    lead = next((one for one in files if one.driving.uses_driver), files[0])
    for inputs in files:
        send(notify, sound_warning(inputs.driving.audio))
        if inputs.driving.summary:
            notify(JobNote(inputs.driving.summary))
    checkpoint, rate = open_networks(clip, networks, lead)
    fps = clip.output_fps or rate
    send(notify, level_warning(clip, lead.size, fps))
    with time_stages(notify) as stage:
        uses_driver = lead.driving.uses_driver
        # One animator serves all faces.
        animator = load_animator(
            clip,
            networks,
            checkpoint,
            notify,
            stage,
            uses_driver=uses_driver,
            cache=cache,
        )
        with stage("encoding the faces"):
            prepare_all = partial(animator.prepare_all, picture)
            portraits = cache.portrait(animator, clip, prepare_all, kind="all faces")
        drivers = assign(files, portraits)
        notify(JobNote(count_line(len(portraits), len(files))))
        for portrait in portraits:
            send(notify, uncertain_warning(portrait))
        animations = animate_all(animator, clip, drivers, portraits, fps, stage, notify)
        animation = animator.combine(portraits, animations)
        with stage("rendering", len(animation)):
            save(animation, clip, notify)
        if isinstance(networks, Networks):
            send(notify, photograph_warning(clip, networks))
    return ClipFile(final_place(clip.output), animation.seconds, animation.size)


def read_all(request: FacesRequest) -> list[Inputs]:
    """Read and check the inputs of every driving file.

    Raises:
      ValueError, OSError: an input or an option is not usable.
    """
    check_inputs_stay(request.clip.output, request.others)
    files = []
    for one in request.requests():
        # Options of sampling are for the sounds among the files.
        files.append(read_inputs(replace(one, sampling=Sampling())))
    check_sampling(request.clip, [inputs.driving for inputs in files])
    if any(inputs.driving.is_still for inputs in files[1:]):
        raise ValueError("one picture drives all faces: leave out other driving files")
    return files


def read_picture(clip: Request, inputs: Inputs) -> UInt8[np.ndarray, "h w 3"]:
    """Return the source picture; raise a ValueError for a video."""
    if isinstance(inputs.source, Footage):
        raise ValueError(
            f"{clip.source} is a video, in which one face moves: choose it by its number"
        )
    return inputs.source


def assign(files: Sequence[Inputs], portraits: Sequence[Portrait]) -> list[Inputs]:
    """Return the inputs that move each face.

    Raises:
      ValueError: neither one driving file, nor one a face.
    """
    # One file moves every face.
    if len(files) == 1:
        return list(files) * len(portraits)
    if len(files) != len(portraits):
        raise ValueError(
            f"there are {len(files)} driving files and {len(portraits)} faces: pass one file for all, "
            "or one a face, the largest face first"
        )
    return list(files)


def count_line(faces: int, files: int) -> str:
    """Return a line about the faces that move."""
    way = "all by the same file" if files == 1 else "each by a file"
    return f"{faces} face{'s' * (faces > 1)} found, and animated: {way}"


def animate_all(
    animator: Animator,
    clip: Request,
    drivers: Sequence[Inputs],
    portraits: Sequence[Portrait],
    fps: float,
    stage: Stage,
    notify: Notify,
) -> list[Animation]:
    """Return the clip of each face."""
    animations = []
    for index, (inputs, portrait) in enumerate(zip(drivers, portraits, strict=True)):
        # Faces with one voice are no copies of each other.
        seed = (clip.sampling.seed + index) % SEEDS
        options = ClipOptions(
            replace(clip.sampling, seed=seed),
            clip.retargeting,
            fps,
            inputs.head,
            crop=clip.crop,
            keeps_openness=keeps_openness(clip),
            remark=lambda line: notify(JobWarning("faces", line)),
        )
        with stage(f"face {index}: {inputs.driving.stage}"):
            animation = inputs.driving.animate(animator, portrait, options)
        animations.append(animation)
    return animations
