"""`python -m benchmarks.reenactment`: how near a driven portrait comes to the truth.

Drawn people (`train.synthetic`) act, and a video of each drives a portrait of the same
person and one of another. The other person is drawn with the same acting as well, so
that both results have a true picture. A portrait that stays unmoved is measured beside
them. It needs espeak-ng.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import cv2
import numpy as np
import tyro
from jaxtyping import Float, UInt8

from benchmarks.report import publish
from jaxportrait import demo
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.animator import Animator
from jaxportrait.media.crop import (
    SOURCE_SCALE,
    FaceRectangle,
    crop_face,
    frame_face,
    network_input,
)
from jaxportrait.media.faces import choose_face, detect_faces
from jaxportrait.media.write import VideoWriter
from train.evaluate.renderer.measures import landmark_box, signal_to_noise
from train.synthetic.clip import PAINT, ClipPlan, act
from train.synthetic.landmarks import GROUP_NAMES, landmarks
from train.synthetic.motion import FPS, Performance
from train.synthetic.scene import Scene

COLUMNS = ("driven by", "picture", "PSNR, dB", "lips, dB", "eyes, dB", "keypoints, %")
Pictures = list[UInt8[np.ndarray, "s s 3"]]


@dataclass(frozen=True)
class Options:
    """Measure reenactment on drawn people.

    Attributes:
      people: number of people, each of whom drives two portraits.
      frames: frames of each result that are measured, evenly spaced.
      seconds: least length of the driving videos.
      seed: seed of the people and their acting.
      size: side of the pictures in pixels.
      checkpoint: networks; by default the demo's, which know drawn heads.
      strips: folder for a strip of truth above result of every pair.
      json: where to write the figures.
    """

    people: int = 4
    frames: int = 12
    seconds: float = 2.0
    seed: int = 1717
    size: int = 256
    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")] = demo.CHECKPOINT
    strips: Path | None = None
    json: Path | None = None


@dataclass(frozen=True)
class Truth:
    """A person who acts as someone else does, drawn.

    Attributes:
      pictures: the measured frames; the first is the portrait.
      points: landmarks of each, -1 to 1.
    """

    pictures: Pictures
    points: list[Float[np.ndarray, "l 2"]]


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    animator = Animator.from_checkpoint(options.checkpoint, driver=None)
    figures: dict[str, list[dict[str, list[float]]]] = {"itself": [], "another": []}
    for number in range(options.people):
        plan = plan_of(options, number)
        _, performance = act(plan)
        last = len(performance) - 1
        moments = np.linspace(0, last, options.frames).round().astype(int)
        with TemporaryDirectory() as folder:
            video = film(plan, performance, Path(folder, "driving.mp4"))
            motion = animator.read_motion(video, FPS)
        # The next person has no part in the driving video.
        other = plan_of(options, (number + 1) % options.people)
        for name, person in (("itself", plan), ("another", other)):
            truth = draw_truth(person, performance, moments)
            portrait = animator.prepare(truth.pictures[0])
            keypoints = animator.drive(portrait, motion).keypoints[moments]
            results = list(portrait.frames(animator.renderer, keypoints, np.asarray))
            figures[name].append(measure(animator, truth, results))
            if options.strips is not None:
                draw_strip(options.strips / f"{name}-{number}.png", truth, results)
    publish("reenactment", COLUMNS, list(rows_of(figures)), figures, options.json)


def plan_of(options: Options, subject: int) -> ClipPlan:
    """Return the plan of a person's clip."""
    return ClipPlan(options.seed, subject, 0, options.seconds, options.size)


def scene_of(plan: ClipPlan) -> Scene:
    """Return a person, ready to be drawn."""
    _, identity, _ = plan.person
    return Scene(identity, plan.size, plan.random(PAINT))


def film(plan: ClipPlan, performance: Performance, path: Path) -> Path:
    """Write a video of a person who acts."""
    scene = scene_of(plan)
    size = (plan.size, plan.size)
    with VideoWriter(path, size=size, fps=FPS, audio=None) as writer:
        for frame in range(len(performance)):
            writer.write(scene.draw(performance.moment(frame)))
    return path


def draw_truth(
    plan: ClipPlan, performance: Performance, moments: Sequence[int] | np.ndarray
) -> Truth:
    """Draw a person with the acting of another at some moments."""
    scene = scene_of(plan)
    pictures = []
    points = []
    for frame in moments:
        moment = performance.moment(int(frame))
        pictures.append(scene.draw(moment))
        # Pixels become -1 to 1.
        points.append(2 * landmarks(scene, moment) / (plan.size - 1) - 1)
    return Truth(pictures, points)


def measure(
    animator: Animator, truth: Truth, results: Pictures
) -> dict[str, list[float]]:
    """Return errors of the result and of the unmoved portrait, beside the truth.

    They are signal to noise in dB of the picture, of the lips and of the eyes, and the
    distance of M's keypoints in percent of the crop's side.
    """
    unmoved = [truth.pictures[0]] * len(results)
    return {
        "driven": compare(animator, truth, results),
        "unmoved": compare(animator, truth, unmoved),
    }


def compare(animator: Animator, truth: Truth, results: Pictures) -> list[float]:
    """Return the mean errors of pictures; the first is the portrait in any case."""
    rows = []
    face = choose_face(detect_faces(truth.pictures[0], animator.detector))
    square = frame_face(face.hull, SOURCE_SCALE / animator.renderer.crop_zoom)
    items = zip(results, truth.pictures, truth.points, strict=True)
    for result, picture, points in list(items)[1:]:
        size = len(picture)
        row = [signal_to_noise(result, picture, np.ones((size, size), bool))]
        for group in ("lips", "eye"):
            chosen = [group in name for name in GROUP_NAMES]
            where = landmark_box(points[chosen], size)
            row.append(signal_to_noise(result, picture, where))
        distance = keypoints_of(animator, square, result)
        distance = distance - keypoints_of(animator, square, picture)
        # Keypoints lie in -1 to 1, which is two for a side.
        row.append(50 * float(np.linalg.norm(distance, axis=-1).mean()))
        rows.append(row)
    return np.mean(rows, axis=0).tolist()


def keypoints_of(
    animator: Animator, square: FaceRectangle, picture: UInt8[np.ndarray, "s s 3"]
) -> Float[np.ndarray, "k 2"]:
    """Return M's keypoints of a picture in a square of it."""
    crop = crop_face(picture, square)
    pictures = network_input(crop, animator.renderer.image_size)
    return np.asarray(animator.renderer.source(pictures).keypoints)[0, :, :2]


def draw_strip(path: Path, truth: Truth, results: Pictures) -> None:
    """Write the true pictures above the results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [np.concatenate(row, axis=1) for row in (truth.pictures, results)]
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1])


def rows_of(figures: dict[str, list[dict[str, list[float]]]]) -> Iterator[list[str]]:
    """Yield the rows of the table: means over pairs."""
    for name, pairs in figures.items():
        for picture in ("driven", "unmoved"):
            means = np.mean([pair[picture] for pair in pairs], axis=0)
            digits = [*(f"{value:.2f}" for value in means[:3]), f"{means[3]:.3f}"]
            yield [name, picture, *digits]


if __name__ == "__main__":
    keep_freed_memory()
    main()
