"""The evaluation: learn to read truth frames, let held-out heads speak, read them, and
report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from rich.console import Console
from rich.progress import track

from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, DetectorName, open_detector
from train.data.clips import Clip
from train.data.shards import write_json
from train.evaluate.speech import report
from train.evaluate.speech.figures import draw_frames, plot_openings
from train.evaluate.speech.heads import Truth, find_face, find_heads, read_truth
from train.evaluate.speech.readers import Readers, Reading, train_readers
from train.evaluate.speech.regressor import STEPS
from train.evaluate.speech.render import head_motion, render_clip

SHOWN = 4
"""Clips of which figures are made."""

T = TypeVar("T")
Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True)
class Options:
    """Measure mouths, blinks and head motion of drawn heads that a checkpoint makes
    speak.

    Attributes:
      heads: held-out heads, made by `python -m train.synthetic` with another seed than
        the training heads.
      training_heads: those that the checkpoint was trained on; the regressors learn
        from their truth alone.
      output: folder for `spoken.json`, the rendered videos and the figures.
      checkpoint: as `infer` reads it; where left out, only the regressors are measured,
        on the held-out truth.
      clips: of the held-out heads, evenly spread, at least 2.
      training_clips: of the training heads, evenly spread.
      regressor_steps: updates of each regressor.
      sampling: how motion is made of sound; each clip has a seed of its own, counted
        from this one.
      detector: how faces are found; `none` for videos already cropped.
      detector_models: folder of the detector's files.
    """

    heads: Folder
    training_heads: Folder
    output: Folder = Path("evaluation")
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    clips: int = 12
    training_clips: int = 100
    regressor_steps: int = STEPS
    sampling: tyro.conf.OmitArgPrefixes[Sampling] = field(default_factory=Sampling)
    detector: DetectorName = "auto"
    detector_models: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None


@dataclass(frozen=True)
class Head:
    """A held-out clip.

    Attributes:
      box: of the face, in its own video and in what is rendered: one for both, so that
        no detector decides.
      seen: what the regressors read of its own video.
    """

    clip: Clip
    truth: Truth
    box: FaceRectangle
    seen: Reading


def evaluate(options: Options, console: Console) -> None:
    """Measure, and write the tables, `spoken.json`, the videos and the figures.

    Raises:
      ValueError, OSError: options, heads or a checkpoint that do not fit together.
    """
    _check(options)
    detector = open_detector(options.detector, options.detector_models)
    animator = (
        None
        if options.checkpoint is None
        else Animator(open_checkpoint(options.checkpoint), detector=detector)
    )
    held_out, training = (
        find_heads(options.heads, options.clips),
        find_heads(options.training_heads),
    )
    if len(held_out) < 2:
        raise ValueError(
            f"{options.heads} holds {len(held_out)} clip, and sentences are compared: draw more"
        )
    options.output.mkdir(parents=True, exist_ok=True)
    learned = find_heads(options.training_heads, options.training_clips)
    readers = train_readers(
        _show(learned, "training clips", console),
        detector,
        steps=options.regressor_steps,
    )
    heads = [
        read_head(clip, readers, detector)
        for clip in _show(held_out, "held-out clips", console)
    ]
    found: dict[str, Any] = {
        "heads": [head.clip.name for head in heads],
        "training_clips": len(learned),
        "regressors": report.quality(
            [head.seen for head in heads], [head.truth for head in heads]
        ),
    }
    console.print(report.quality_table(found["regressors"]))
    if animator is not None:
        found |= {
            "checkpoint": str(options.checkpoint),
            **_speak(options, console, animator, readers, heads, training),
        }
    write_json(options.output / "spoken.json", found)
    console.print(
        f"{len(heads)} held-out clips; figures are in {options.output}",
        highlight=False,
        soft_wrap=True,
    )


def read_head(clip: Clip, readers: Readers, detector: Detector) -> Head:
    """Find the face of a held-out clip, and read its own frames.

    Raises:
      NoFaceError: no steady face.
      ValueError, OSError: the clip or its truth cannot be read.
    """
    box = find_face(clip.video, detector)
    return Head(clip, read_truth(clip), box, readers.read(clip.video, box))


def _speak(
    options: Options,
    console: Console,
    animator: Animator,
    readers: Readers,
    heads: Sequence[Head],
    training: Sequence[Clip],
) -> dict[str, Any]:
    """Let heads speak, each by a seed of its own, and compare their mouths, lids and
    poses with the truth.

    Of one seed all clips would blink at the same moments: what is random would be
    counted once.
    """
    videos = {}
    for number, head in enumerate(_show(heads, "rendered clips", console)):
        path = options.output / head.clip.name.replace("/", "-")
        sampling = replace(options.sampling, seed=options.sampling.seed + number)
        render_clip(animator, head.clip, head.truth, path, sampling)
        videos[head.clip.video] = path
    truths, seen = [head.truth for head in heads], [head.seen for head in heads]
    made = [
        readers.read(path, head.box)
        for head, path in zip(heads, videos.values(), strict=True)
    ]
    speech = {
        "truth frames": report.speech(seen, truths),
        "rendered": report.speech(made, truths),
    }
    motion = {
        "training heads, truth": report.true_motion(
            [read_truth(clip) for clip in training]
        )
    }
    motion["held-out heads, truth"] = report.true_motion(truths)
    for name, paths, readings in (
        ("held-out heads, as read", list(videos), seen),
        ("rendered, as read", list(videos.values()), made),
    ):
        moved = [
            head_motion(animator, path, head.box)
            for path, head in zip(paths, heads, strict=True)
        ]
        motion[name] = report.motion([reading.blink for reading in readings], moved)
    console.print(report.speech_table(speech))
    console.print(report.motion_table(motion))
    shown = list(zip(heads, made, strict=True))[:SHOWN]
    curves = {
        head.clip.name: (head.truth.opening, reading.opening) for head, reading in shown
    }
    plot_openings(options.output / "openings.png", curves)
    draw_frames(
        options.output / "frames.png",
        {head.clip.video: videos[head.clip.video] for head, _ in shown},
    )
    return {"speech": speech, "motion": motion}


def _check(options: Options) -> None:
    """Raise a ValueError for numbers that measure nothing."""
    for name, least in (("clips", 2), ("training_clips", 1), ("regressor_steps", 1)):
        if getattr(options, name) < least:
            raise ValueError(
                f"--{name.replace('_', '-')} must be at least {least}, got {getattr(options, name)}"
            )


def _show(items: Sequence[T], name: str, console: Console) -> Iterable[T]:
    """The items, with a bar on a terminal."""
    return track(items, name, console=console, disable=not console.is_terminal)
