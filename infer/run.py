"""What the options ask for: a clip, or the programs that clips need."""

import os
from fractions import Fraction
from pathlib import Path

import jax

from infer.config import Options
from jaxportrait import demo
from jaxportrait.animator import Animator, check_rate
from jaxportrait.console.interrupts import remember_interrupts
from jaxportrait.console.progress import Reporter
from jaxportrait.media.audio import Audio
from jaxportrait.media.image import read_image
from jaxportrait.media.video import check_format, select_encoder


def run(options: Options) -> None:
    """Do what is asked for; Ctrl-C ends it at the next frame or stage at the latest."""
    with remember_interrupts() as check:
        (warm_up if options.warmup else animate)(options, Reporter(check))


def animate(options: Options, report: Reporter) -> None:
    """Make a clip: check first what costs little, and say what is being done."""
    check_folder(options.output_dir)
    check_rate(options.output_fps)
    audio = Audio.open(options.driving, allow_video=options.driving_kind == "audio")
    image = read_image(options.source)
    size = (image.shape[1], image.shape[0])
    check_format(size, options.output_fps, options.crf)
    select_encoder(options.encoder, size, Fraction(options.output_fps), options.crf)
    if options.checkpoint == demo.CHECKPOINT and options.source != demo.PORTRAIT:
        report.warn(
            "the demo's networks know drawn heads alone: for photographs name a checkpoint with --checkpoint"
        )
    with report.stage("loading the networks"):
        animator = load(options)
    if (
        options.detector_models is not None
        and animator.detector.name == "haar"
        and animator.detector.passed_over
    ):
        report.warn(
            f"faces are found by OpenCV's Haar cascade: {'; '.join(animator.detector.passed_over)}"
        )
    with report.stage("encoding the source"):
        portrait = animator.prepare(image, face=options.face)
    if portrait.passed_over and options.face is None:
        report.warn(
            f"{portrait.passed_over + 1} faces found, animating the largest: choose another with --face N"
        )
    with report.stage(f"making motion of {audio.duration:.1f} s of sound"):
        animation = animator.animate(
            portrait,
            audio,
            sampling=options.sampling,
            driving=options.composing,
            output_fps=options.output_fps,
        )
    options.output_dir.mkdir(parents=True, exist_ok=True)
    with report.frames("rendering", len(animation)) as advance:
        animation.save(
            options.output, crf=options.crf, encoder=options.encoder, on_frame=advance
        )
    print(options.output)


def load(options: Options) -> Animator:
    """The networks and the face detector that the options ask for."""
    return Animator.from_checkpoint(
        options.checkpoint,
        dtype=options.dtype,
        batch_size=options.batch_size,
        devices=options.devices,
        detector=options.detector,
        detector_models=options.detector_models,
    )


def warm_up(options: Options, report: Reporter) -> None:
    """Fill the cache with the programs that clips as long as the given sound need."""
    if options.compilation_cache == "none":
        raise ValueError(
            "--warmup keeps compiled programs and --compilation-cache none does not: leave out either"
        )
    cache: Path = Path(jax.config.values["jax_compilation_cache_dir"])
    check_folder(cache)
    check_rate(options.output_fps)
    seconds = Audio.open(
        options.driving, allow_video=options.driving_kind == "audio"
    ).duration
    with report.stage(f"compiling for clips of up to {seconds:.1f} s"):
        load(options).warm_up(
            seconds,
            sampling=options.sampling,
            driving=options.composing,
            output_fps=options.output_fps,
        )
    print(cache)


def check_folder(folder: Path) -> None:
    """Raise before any work if `folder` cannot be made or written to."""
    nearest = next(
        path
        for path in (folder.absolute(), *folder.absolute().parents)
        if path.exists()
    )
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise OSError(
            f"{folder} cannot be written to ({nearest} is no folder or is protected): choose another folder"
        )
