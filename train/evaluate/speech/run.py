"""The evaluation: learn to read truth frames, let held-out heads speak, read them, and
report."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.console.progress import track
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, DetectorName, open_detector
from jaxportrait.ranges import Count, Range, check_ranges
from jaxportrait.whole import hold_folder
from train.data.clips import Clip
from train.data.shards import write_json
from train.evaluate.speech import report
from train.evaluate.speech.figures import draw_frames, plot_openings
from train.evaluate.speech.heads import (
    TrueMotion,
    find_face,
    find_heads,
    read_motion_truth,
)
from train.evaluate.speech.readers import Readers, Reading, train_readers
from train.evaluate.speech.regressor import STEPS
from train.evaluate.speech.render import head_motion, render_clip

FIGURE_CLIPS = 4
SEEDS = 2**32
"""Number of seeds of a clip; the first follows the last."""

Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True)
class Options:
    """Measure mouths, blinks and head motion of heads that a checkpoint makes speak.

    Attributes:
      heads: held-out heads, made by `python -m train.synthetic` with another seed than
        the training heads.
      training_heads: heads that the checkpoint was trained on; the regressors learn
        from their truth only.
      output: folder for `spoken.json`, the rendered videos and the figures.
      checkpoint: checkpoint as `infer` reads it; if left out, only the regressors are
        measured, on the held-out truth.
      clips: number of held-out clips, evenly spaced, at least 2.
      training_clips: number of clips of the training heads, evenly spaced.
      regressor_steps: updates of each regressor.
      sampling: sampling of motion; each clip has its own seed, counted from this one.
      detector: face detector; `none` for videos already cropped.
      detector_models: folder of the detector's files.
    """

    heads: Folder
    training_heads: Folder
    output: Folder = Path("evaluation")
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    clips: Annotated[int, Range(2)] = 12
    training_clips: Count = 100
    regressor_steps: Count = STEPS
    sampling: tyro.conf.OmitArgPrefixes[Sampling] = field(default_factory=Sampling)
    detector: DetectorName = "auto"
    detector_models: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class Head:
    """A held-out clip.

    Attributes:
      clip: its files.
      truth: its true motion.
      box: box of the face, in its own video and in the rendered one: one box for both,
        so that no detector decides.
      reading: the regressors' reading of its own video.
    """

    clip: Clip
    truth: TrueMotion
    box: FaceRectangle
    reading: Reading


def evaluate(options: Options, console: Console) -> None:
    """Measure, and write the tables, `spoken.json`, the videos and the figures.

    Raises:
      ValueError, OSError: options, heads or a checkpoint that do not fit together.
    """
    held_out = find_heads(options.heads, options.clips)
    training = find_heads(options.training_heads)
    # the wrong sentence of a clip is another clip's
    if len(held_out) < 2:
        raise ValueError(
            f"{options.heads} holds {len(held_out)} clip, and sentences are compared: draw more"
        )
    detector, animator = _open_networks(options)
    if options.detector == "auto":
        console.print(detector.summary, highlight=False, soft_wrap=True)
    with hold_folder(options.output):
        # The regressors learn from training heads, and are tested on held-out ones.
        lessons = find_heads(options.training_heads, options.training_clips)
        shown = track(lessons, len(lessons), console, unit="training clips")
        readers = train_readers(shown, detector, steps=options.regressor_steps)
        shown = track(held_out, len(held_out), console, unit="held-out clips")
        heads = [read_head(clip, readers, detector) for clip in shown]
        readings = [head.reading for head in heads]
        regressors = report.quality(readings, [head.truth for head in heads])
        console.print(report.quality_table(regressors))
        results: dict[str, Any] = {
            "heads": [head.clip.name for head in heads],
            "training_clips": len(lessons),
            "regressors": regressors,
        }
        if animator is not None:
            results["checkpoint"] = str(options.checkpoint)
            results |= _speak(options, console, animator, readers, heads, training)
        write_json(options.output / "spoken.json", results)
        line = f"{len(heads)} held-out clips; figures are in {options.output}"
        console.print(line, highlight=False, soft_wrap=True)


def _open_networks(options: Options) -> tuple[Detector, Animator | None]:
    """Open the detector, and an animator where there is a checkpoint to measure."""
    if options.checkpoint is None:
        return open_detector(options.detector, options.detector_models), None
    checkpoint = open_checkpoint(options.checkpoint)
    detector = open_detector(
        options.detector, options.detector_models, recorded=checkpoint.crop.detector
    )
    return detector, Animator(checkpoint, detector=detector)


def read_head(clip: Clip, readers: Readers, detector: Detector) -> Head:
    """Find the face of a held-out clip, and read its own frames.

    Raises:
      NoFaceError: there is no steady face.
      ValueError, OSError: the clip or its truth cannot be read.
    """
    box = find_face(clip.video, detector)
    truth = read_motion_truth(clip)
    return Head(clip, truth, box, readers.read(clip.video, box))


def _speak(
    options: Options,
    console: Console,
    animator: Animator,
    readers: Readers,
    heads: Sequence[Head],
    training: Sequence[Clip],
) -> dict[str, Any]:
    """Let heads speak, and compare their mouths, lids and poses with the truth."""
    shown = track(list(enumerate(heads)), len(heads), console, unit="rendered clips")
    videos = [_render(options, animator, head, number) for number, head in shown]
    truths = [head.truth for head in heads]
    true_readings = [head.reading for head in heads]
    readings = [
        readers.read(video, head.box) for video, head in zip(videos, heads, strict=True)
    ]
    # The regressors' own error shows in the first row.
    speech = {
        "truth frames": report.measure_speech(true_readings, truths),
        "rendered": report.measure_speech(readings, truths),
    }

    def measure(paths: Sequence[Path], read: Sequence[Reading]) -> dict[str, float]:
        motions = [
            head_motion(animator, path, head.box)
            for path, head in zip(paths, heads, strict=True)
        ]
        return report.measure_motion([reading.blink for reading in read], motions)

    # M reads true and rendered videos alike, so that its own errors cancel
    true_videos = [head.clip.video for head in heads]
    training_truths = [read_motion_truth(clip) for clip in training]
    motion = {
        "training heads, truth": report.measure_true_motion(training_truths),
        "held-out heads, truth": report.measure_true_motion(truths),
        "held-out heads, as read": measure(true_videos, true_readings),
        "rendered, as read": measure(videos, readings),
    }
    console.print(report.speech_table(speech))
    console.print(report.motion_table(motion))
    _draw_figures(options.output, heads, videos, readings)
    return {"speech": speech, "motion": motion}


def _render(options: Options, animator: Animator, head: Head, number: int) -> Path:
    """Write the video of a head that speaks, and return its path."""
    path = options.output / head.clip.name.replace("/", "-")
    # with one seed, all clips would blink at the same moments, and count as one
    seed = (options.sampling.seed + number) % SEEDS
    sampling = replace(options.sampling, seed=seed)
    render_clip(animator, head.clip, head.truth, path, sampling)
    return path


def _draw_figures(
    output: Path,
    heads: Sequence[Head],
    videos: Sequence[Path],
    readings: Sequence[Reading],
) -> None:
    curves, pairs = {}, {}
    triples = list(zip(heads, videos, readings, strict=True))
    for head, video, reading in triples[:FIGURE_CLIPS]:
        curves[head.clip.name] = (head.truth.opening, reading.opening)
        pairs[head.clip.video] = video
    plot_openings(output / "openings.png", curves)
    draw_frames(output / "frames.png", pairs)
