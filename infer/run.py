"""The inference program's work: a clip, or the compiled programs that clips need."""

import sys
from pathlib import Path

from infer.config import Options
from jaxportrait.cache import open_cache
from jaxportrait.console.job import JobDisplay
from jaxportrait.console.output import is_terminal, print_result, printable
from jaxportrait.driving import clip_seconds, open_driving
from jaxportrait.job import ClipFile, Notify, run_job, time_stages
from jaxportrait.job.faces import run_faces
from jaxportrait.media.footage import is_video


def run(options: Options) -> None:
    """Do what the options ask for."""
    with JobDisplay() as display:
        if options.device.warmup:
            print_result(printable(str(warm_up(options, display))))
            return
        clip = make_clip(options, display)
        # The path is all that goes to stdout, for scripts; a user reads the next line.
        if not is_terminal(sys.stdout):
            print_result(printable(str(clip.path)))
        display.show_file(clip)


def make_clip(options: Options, notify: Notify) -> ClipFile:
    """Make the clip of one face, or of all."""
    networks = options.networks()
    # A clip of all faces is a job of its own.
    faces = options.faces_request()
    if faces is not None:
        return run_faces(faces, networks, notify)
    return run_job(options.request(), networks, notify)


def warm_up(options: Options, notify: Notify) -> Path:
    """Fill the cache with the programs that clips as long as the recording need.

    Returns:
      The folder of the cache.
    """
    if options.faces_request() is not None:
        raise ValueError(
            "--warmup compiles the programs of one face, which serve all: leave out --face all"
        )
    request = options.request()
    if is_video(request.source):
        raise ValueError(
            "--warmup compiles what clips of pictures need, and the source is a video: leave it out"
        )
    if options.device.compilation_cache == "none":
        raise ValueError(
            "--warmup keeps compiled programs and --compilation-cache none does not: leave out either"
        )
    cache = open_cache(options.device.compilation_cache)
    # The same checks as for a clip, before minutes of compiling.
    seconds = clip_seconds(open_driving(request.driving, request.driving_kind))
    with (
        time_stages(notify) as stage,
        stage(f"compiling for clips of up to {seconds:.1f} s"),
    ):
        options.networks().load().warm_up(
            seconds,
            sampling=request.sampling,
            retargeting=request.retargeting,
            output_fps=request.output_fps,
        )
    return cache
