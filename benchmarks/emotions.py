"""`python -m benchmarks.emotions --checkpoint CKPT --dataset-path MOTION --videos DRAWN`:
whether motion follows the emotion that is asked for, and by how much.

Drawn clips state how far their mouth smiles. A regression learns it from the expression
of training clips. It then reads, off motion that is sampled for held-out sound, and off
frames that such motion is rendered to, how the smile differs from that without emotion.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from benchmarks.smiles import SmileReader, judge_people
from jaxportrait import demo
from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.flow import FlowDriver
from jaxportrait.drivers.flow_program import sample_motion
from jaxportrait.drivers.registry import load_driver
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.media.audio import Audio
from jaxportrait.motion.space import EXPRESSION, MOTION_FPS
from jaxportrait.portrait import Portrait
from train.data.dataset import Dataset, open_dataset
from train.data.records import ClipRecord
from train.flow.sample import sample_clip

FRAME_RATE = MOTION_FPS / 3
"""Frames a second of rendered clips: their mean needs no more."""


@dataclass(frozen=True)
class Options:
    """Measure the smiles of sampled motion.

    Attributes:
      checkpoint: checkpoint with a flow transformer that knows emotions.
      dataset_path: motion of drawn clips.
      videos: folder of the drawn clips, with their truth files.
      emotions: two emotions to ask for, the one that smiles more first.
      strengths: strengths to ask for.
      clips: held-out clips at most.
      seeds: samples of each.
      guidance: scale of guidance by the sound.
      steps: steps of sampling.
      rendered: held-out clips whose sound is rendered as well; 0 renders none.
      portrait: picture of the face to render.
    """

    checkpoint: Path
    dataset_path: Path
    videos: Path
    emotions: tuple[str, str] = ("happy", "sad")
    strengths: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    clips: int = 6
    seeds: int = 2
    guidance: float = 2.0
    steps: int = 10
    rendered: int = 2
    portrait: Path = demo.PORTRAIT

    def sampling(self, emotion: str, strength: float) -> MotionSampling:
        """Return the options of sampling with an emotion."""
        return MotionSampling(
            cfg_scale=self.guidance,
            steps=self.steps,
            emotion=emotion,
            emotion_strength=strength,
        )


Smiles = dict[tuple[str, float], Float[np.ndarray, " samples"]]
"""(emotion, strength) -> the mean smile of each sample, less that without emotion."""

Expressions = Callable[[str, float], list[Float[np.ndarray, "n 63"]]]
"""Emotion and strength -> the expression of each sample's frames."""


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    console = Console(highlight=False)
    dataset = open_dataset(options.dataset_path)
    console.print(describe(dataset, options))
    reader = SmileReader.fit(list(dataset.clips("train")), options.videos)
    console.print(tabulate("sampled motion", measure(dataset, reader, options)))
    if options.rendered > 0:
        smiles = measure_frames(dataset, reader, options)
        console.print(tabulate("rendered frames", smiles))


def describe(dataset: Dataset, options: Options) -> str:
    """Return lines on how smiles are read off the true motion of people whom the
    regression has not seen."""
    records = [
        record
        for split in ("train", "validation")
        for record in dataset.clips(split)
        if record.labels.get("emotion") in options.emotions
    ]
    verdicts = judge_people(records, options.videos)
    smiles = np.array([verdict.smile for verdict in verdicts])
    truth = np.array([verdict.truth for verdict in verdicts])
    correlation = np.corrcoef(smiles, truth)[0, 1]
    signs = np.array([verdict.emotion == options.emotions[0] for verdict in verdicts])
    right = np.sum((smiles > 0) == signs)
    lines = [
        f"smiles since a person's mean, read off true motion of people not seen: r = {correlation:.2f}, "
        f"{right} of {len(smiles)} clips on the right side"
    ]
    # Strength 1 stands for the highest level.
    highest = max(verdict.level for verdict in verdicts)
    for emotion in options.emotions:
        for level in range(1, highest + 1):
            chosen = [(v.emotion, v.level) == (emotion, level) for v in verdicts]
            means = f"read {smiles[chosen].mean():.2f}, true {truth[chosen].mean():.2f}"
            lines.append(f"{emotion} at level {level}: {means}")
    return "\n".join(lines)


def measure(dataset: Dataset, reader: SmileReader, options: Options) -> Smiles:
    """Return the smiles of sampled motion; clips and seeds are the same for all."""
    driver = load_driver(open_checkpoint(options.checkpoint))
    assert isinstance(driver, FlowDriver)
    records = list(dataset.evenly_spaced("validation", options.clips))
    names = [(record, seed) for record in records for seed in range(options.seeds)]

    def expressions(emotion: str, strength: float) -> list[Float[np.ndarray, "n 63"]]:
        chosen = driver.with_sampling(options.sampling(emotion, strength))
        motions = [sample(chosen, record, seed) for record, seed in names]
        return [motion[:, EXPRESSION] for motion in motions]

    return compare(expressions, reader, options)


def compare(expressions: Expressions, reader: SmileReader, options: Options) -> Smiles:
    """Return the smiles of every emotion and strength, less those of strength 0."""
    # At strength 0, every emotion is none.
    neutral = expressions(options.emotions[0], 0.0)
    smiles: Smiles = {}
    for emotion in options.emotions:
        for strength in options.strengths:
            pairs = zip(expressions(emotion, strength), neutral, strict=True)
            changes = [reader.read(moved - still) for moved, still in pairs]
            smiles[emotion, strength] = np.array(changes)
    return smiles


def sample(
    driver: FlowDriver, record: ClipRecord, seed: int
) -> Float[np.ndarray, "n d"]:
    """Return motion of a record's sound, by its stored features."""
    sampler = partial(_sample, driver, jax.random.key(seed))
    config = driver.network.config
    return sample_clip(config, sampler, record, record.frames, driver.statistics)


def _sample(driver: FlowDriver, key, statistics, features, count, *, plan):
    return sample_motion(
        driver.network,
        statistics,
        jnp.asarray(features),
        key,
        jnp.asarray(count),
        jnp.float32(driver.guidance),
        driver.emotion,
        plan=plan,
        steps=driver.steps,
        guided=driver.guidance > 1,
    )


def measure_frames(dataset: Dataset, reader: SmileReader, options: Options) -> Smiles:
    """Return the smiles that are read off rendered frames of the portrait."""
    animator = Animator.from_checkpoint(options.checkpoint)
    portrait = animator.prepare(options.portrait)
    records = list(dataset.evenly_spaced("validation", options.rendered))

    def expressions(emotion: str, strength: float) -> list[Float[np.ndarray, "n 63"]]:
        sampling = Sampling(**vars(options.sampling(emotion, strength)))
        sounds = [options.videos / record.clip for record in records]
        return [film(animator, portrait, sound, sampling) for sound in sounds]

    return compare(expressions, reader, options)


def film(
    animator: Animator, portrait: Portrait, video: Path, sampling: Sampling
) -> Float[np.ndarray, "n 63"]:
    """Return the expression that M reads off a portrait that speaks as a video."""
    sound = Audio.open(video, allow_video=True)
    animation = animator.animate(
        portrait, sound, sampling=sampling, output_fps=FRAME_RATE
    )
    # Read like the videos of the data set, out of a file.
    with TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        animation.save(path)
        motion = animator.read_motion(path, FRAME_RATE)
    return motion.to_frames()[:, EXPRESSION]


def tabulate(title: str, smiles: Smiles) -> Table:
    """Return the mean smile of each emotion and strength, its deviation, and how many
    samples are on the right side of 0."""
    first, second = dict.fromkeys(emotion for emotion, _ in smiles)
    columns = ["strength", first, second, "on the right side"]
    table = Table(*columns, title=f"smile of {title}, less that without emotion")
    for strength in dict.fromkeys(strength for _, strength in smiles):
        more, less = smiles[first, strength], smiles[second, strength]
        means = [f"{values.mean():.2f} ± {values.std():.2f}" for values in (more, less)]
        right = np.sum(more > 0) + np.sum(less < 0)
        table.add_row(f"{strength:g}", *means, f"{right} of {len(more) + len(less)}")
    return table


if __name__ == "__main__":
    main()
