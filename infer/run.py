"""The inference program's work: a clip, or the compiled programs that clips need."""

from pathlib import Path

import jax

from infer.config import Options
from jaxportrait.console.interrupts import remember_interrupts
from jaxportrait.console.job import JobDisplay
from jaxportrait.job import Notify, check_folder, run_job, time_stages
from jaxportrait.media.audio import Audio


def run(options: Options) -> None:
    """Do what the options ask for; Ctrl-C ends it at the next frame or stage."""
    # Ctrl-C is checked between frames, so that no file is left half written.
    with remember_interrupts() as check, JobDisplay(check) as display:
        if options.device.warmup:
            print(warm_up(options, display))
            return
        request = options.request()
        run_job(request, options.networks(), display)
    # The path is all that goes to stdout, for scripts.
    print(request.output)


def warm_up(options: Options, notify: Notify) -> Path:
    """Fill the cache with the programs that clips as long as the recording need.

    Returns:
      The folder of the cache.
    """
    if options.device.compilation_cache == "none":
        raise ValueError(
            "--warmup keeps compiled programs and --compilation-cache none does not: leave out either"
        )
    # The folder that `configure` chose.
    cache = Path(jax.config.values["jax_compilation_cache_dir"])
    request = options.request()
    check_folder(cache)
    # The same checks as for a clip, before minutes of compiling.
    audio = Audio.open(request.audio, allow_video=request.allow_video)
    with (
        time_stages(notify) as stage,
        stage(f"compiling for clips of up to {audio.duration:.1f} s"),
    ):
        options.networks().load().warm_up(
            audio.duration,
            sampling=request.sampling,
            retargeting=request.retargeting,
            output_fps=request.output_fps,
        )
    return cache
