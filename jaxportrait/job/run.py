"""One job: from a request to a video file.

The command line, a batch, a page and a service all run jobs. A job prints nothing: it
reports stages, frames and warnings as events to a callback.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeVar

from jaxportrait.animation import Animation
from jaxportrait.animator import Animator
from jaxportrait.driving import ClipOptions
from jaxportrait.job.cache import JobCache
from jaxportrait.job.events import FrameDone, JobNote, JobWarning, Notify
from jaxportrait.job.inputs import Inputs, frame_size, read_inputs
from jaxportrait.job.load import load_animator, open_networks, send
from jaxportrait.job.request import ClipFile, Networks, PictureRequest, Request
from jaxportrait.job.stages import time_stages
from jaxportrait.job.warnings import (
    absence_warning,
    faces_warning,
    level_warning,
    photograph_warning,
    sound_warning,
    uncertain_warning,
)
from jaxportrait.media.footage import Footage
from jaxportrait.media.write import final_place
from jaxportrait.motion.file import save_motion
from jaxportrait.portrait import AnyPortrait, Frame

T = TypeVar("T")
LIP_SYNC = (
    "only the mouth of the source video changes (no lip_sync moves its head as well)"
)
"""A line for a user who has not chosen."""


def run_job(
    request: Request,
    networks: Networks | Animator,
    notify: Notify = lambda event: None,
    cache: JobCache | None = None,
) -> ClipFile:
    """Make the clip of a request, and return what was written.

    Checks that cost little come first, before networks are loaded. The file is written
    whole or not at all.

    Args:
      networks: an animator, or a description of one to load after the first checks.
      notify: called with every event, in the thread of the caller; it may raise to end
        the job, which then leaves no file.
      cache: holds what earlier jobs have loaded and prepared, and keeps that of this
        one; by default nothing is kept.

    Raises:
      ValueError, OSError: the request cannot be fulfilled.
    """
    cache = cache or JobCache()
    # All that can fail cheaply fails here.
    inputs = read_inputs(request)
    driving = inputs.driving
    send(notify, sound_warning(driving.audio))
    checkpoint, rate = open_networks(request, networks, inputs)
    fps = request.output_fps or rate
    send(notify, level_warning(request, frame_size(request, inputs), fps))
    if driving.summary:
        notify(JobNote(driving.summary))
    by_voice = inputs.source_fps is not None and driving.uses_driver
    if by_voice and request.lip_sync is None:
        notify(JobNote(LIP_SYNC))
    with time_stages(notify) as stage:
        uses_driver = driving.uses_driver
        animator = load_animator(
            request,
            networks,
            checkpoint,
            notify,
            stage,
            uses_driver=uses_driver,
            cache=cache,
        )
        if uses_driver:
            animator.check_retargeting(request.retargeting)
        with stage("encoding the source"):
            portrait = prepare(animator, inputs, request, cache)
        send(notify, faces_warning(request, portrait))
        send(notify, uncertain_warning(portrait))
        send(notify, absence_warning(portrait))
        with stage(driving.stage):
            options = ClipOptions(
                request.sampling,
                request.retargeting,
                fps,
                inputs.head,
                crop=request.crop,
                side_by_side=request.side_by_side,
                keeps_openness=keeps_openness(request),
                remark=lambda line: notify(JobWarning("faces", line)),
                lip_sync=request.lip_sync,
                audio_priority=request.audio_priority,
            )
            animation = driving.animate(animator, portrait, options)
        if request.template_out is not None:
            save_motion(animation.motion, request.template_out)
        # Frames are made while the file is written.
        with stage("rendering", len(animation)):
            save(animation, request, notify)
        if isinstance(networks, Networks):
            # Again, where a user looks for the result.
            send(notify, photograph_warning(request, networks))
    path = final_place(request.output)
    return ClipFile(path, animation.seconds, animation.size)


def keeps_openness(request: Request) -> bool:
    """Return whether the openness of driving eyes and lips is used or saved."""
    return request.retargeting.retargets or request.template_out is not None


def prepare(
    animator: Animator, inputs: Inputs, request: Request, cache: JobCache
) -> AnyPortrait:
    """Find the face of the source, and encode it."""
    source = inputs.source
    if isinstance(source, Footage):
        every_frame = request.retargeting.needs_openness
        prepare_video = partial(
            animator.prepare_video, source, face=request.face, every_frame=every_frame
        )
        kind = "every frame" if every_frame else ""
        return cache.portrait(animator, request, prepare_video, kind=kind)
    prepare_picture = partial(
        animator.prepare, source, face=request.face, box=request.box
    )
    return cache.portrait(animator, request, prepare_picture)


def save(animation: Animation, request: PictureRequest, notify: Notify) -> None:
    """Write the video, with an event after every frame."""
    done = 0
    frame: Frame | None = None

    def make_frames(finish: Callable[[Frame], T]) -> Iterator[T]:
        nonlocal frame
        # The file gets a converted picture, and an event the frame itself.
        pairs = animation.make_frames(lambda picture: (picture, finish(picture)))
        for shown, picture in pairs:
            frame = shown
            yield picture

    def report_frame() -> None:
        nonlocal done
        done += 1
        notify(FrameDone(done, len(animation), frame))

    # Only now, so that a refused job leaves no folder.
    final_place(request.output).parent.mkdir(parents=True, exist_ok=True)
    watched = replace(animation, make_frames=make_frames)
    watched.save(
        request.output,
        crf=request.crf,
        encoder=request.encoder,
        on_frame=report_frame,
    )
