"""`python -m benchmarks.emotions --checkpoint CKPT --dataset-path MOTION --videos DRAWN`:
whether motion follows the emotion that is asked for, and by how much.

Drawn clips state how far their mouth smiles. A regression learns it from the expression
of training clips, and then reads it off motion that is sampled for held-out sound.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.flow import FlowDriver
from jaxportrait.drivers.flow_program import sample_motion
from jaxportrait.drivers.registry import load_driver
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.motion.space import EXPRESSION
from train.data.dataset import Dataset, open_dataset
from train.data.records import ClipRecord
from train.data.truth import read_arrays, truth_path
from train.flow.sample import sample_clip

SMILE = "smile"
"""Array of a drawn clip's truth file: -1 (corners down) to 1, for every frame."""


@dataclass(frozen=True)
class Options:
    """Measure the smiles of sampled motion.

    Attributes:
      checkpoint: checkpoint with a flow transformer that knows emotions.
      dataset_path: motion of drawn clips.
      videos: folder of the drawn clips, with their truth files.
      emotions: emotions to ask for, the most smiling one first.
      strengths: strengths to ask for.
      clips: held-out clips at most.
      seeds: samples of each.
      guidance: scale of guidance by the sound.
      steps: steps of sampling.
      ridge: weight of the regression's penalty.
    """

    checkpoint: Path
    dataset_path: Path
    videos: Path
    emotions: tuple[str, ...] = ("happy", "sad")
    strengths: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0)
    clips: int = 6
    seeds: int = 2
    guidance: float = 2.0
    steps: int = 10
    ridge: float = 10.0


@dataclass(frozen=True)
class SmileReader:
    """A linear regression from expression to smile.

    Attributes:
      weights: weight of each value of the expression, and of 1.
      score: correlation with the truth over held-out clips' means.
    """

    weights: Float[np.ndarray, " 64"]
    score: float

    def read(self, motion: Float[np.ndarray, "n d"]) -> float:
        """Return the mean smile of motion of the face space."""
        return float(np.mean(with_ones(motion) @ self.weights))


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    dataset = open_dataset(options.dataset_path)
    reader = fit_reader(dataset, options)
    driver = load_driver(open_checkpoint(options.checkpoint))
    assert isinstance(driver, FlowDriver)
    records = list(dataset.evenly_spaced("validation", options.clips))
    console = Console()
    console.print(
        f"mean smile of held-out clips, read and true: r = {reader.score:.2f}; true "
        f"mean of training clips: {true_smiles(dataset, options)}"
    )
    smiles = measure(driver, records, reader, options)
    console.print(tabulate(smiles, options))
    if len(options.emotions) == 2:
        console.print(compare_pairs(smiles, options))


def fit_reader(dataset: Dataset, options: Options) -> SmileReader:
    """Return the regression of the training clips' smiles."""
    records = list(dataset.clips("train"))
    inputs = np.concatenate([with_ones(record.motion) for record in records])
    targets = np.concatenate([read_smile(record, options.videos) for record in records])
    # The penalty keeps identities of the few training heads out of the weights.
    penalty = options.ridge * np.eye(inputs.shape[1])
    weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ targets)
    # Means of whole clips are what is measured later.
    held_out = list(dataset.clips("validation"))
    smiles = [np.mean(with_ones(record.motion) @ weights) for record in held_out]
    truth = [read_smile(record, options.videos).mean() for record in held_out]
    return SmileReader(weights, float(np.corrcoef(smiles, truth)[0, 1]))


def with_ones(motion: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 64"]:
    """Return the expression of frames of the face space, and 1."""
    expression = motion[:, EXPRESSION].astype(np.float64)
    return np.concatenate([expression, np.ones((len(motion), 1))], axis=1)


def read_smile(record: ClipRecord, videos: Path) -> Float[np.ndarray, " frames"]:
    """Return the true smile of a record's frames."""
    smile = read_arrays(truth_path(videos / record.clip), [SMILE])[SMILE]
    # Drawn videos have the rate of motion, 30 frames a second.
    return smile[record.start : record.start + record.frames].astype(np.float64)


def true_smiles(dataset: Dataset, options: Options) -> str:
    """Return the mean smile of the training clips of each emotion, in words."""
    means = []
    for emotion in options.emotions:
        smiles = [
            read_smile(record, options.videos)
            for record in dataset.clips("train")
            if record.labels.get("emotion") == emotion
        ]
        means.append(f"{emotion} {np.concatenate(smiles).mean():.2f}")
    return ", ".join(means)


Smiles = dict[tuple[str, float], Float[np.ndarray, " samples"]]
"""(emotion, strength) -> the mean smile of each sample."""


def measure(
    driver: FlowDriver,
    records: list[ClipRecord],
    reader: SmileReader,
    options: Options,
) -> Smiles:
    """Return the smiles of sampled motion; clips and seeds are the same for all."""
    smiles: Smiles = {}
    for emotion in options.emotions:
        for strength in options.strengths:
            sampling = MotionSampling(
                cfg_scale=options.guidance,
                steps=options.steps,
                emotion=emotion,
                emotion_strength=strength,
            )
            chosen = driver.with_sampling(sampling)
            motions = [
                sample(chosen, record, seed)
                for record in records
                for seed in range(options.seeds)
            ]
            smiles[emotion, strength] = np.array([*map(reader.read, motions)])
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


def tabulate(smiles: Smiles, options: Options) -> Table:
    """Return the mean smile of each emotion and strength, and its deviation."""
    table = Table("strength", *options.emotions)
    for strength in options.strengths:
        columns = []
        for emotion in options.emotions:
            values = smiles[emotion, strength]
            columns.append(f"{values.mean():.2f} ± {values.std():.2f}")
        table.add_row(f"{strength:g}", *columns)
    return table


def compare_pairs(smiles: Smiles, options: Options) -> str:
    """Return a line on how many samples smile more under the first emotion than the same
    sound and seed under the second."""
    first, second = options.emotions
    shares = []
    for strength in options.strengths:
        more = smiles[first, strength] > smiles[second, strength]
        shares.append(f"{strength:g}: {more.mean():.0%}")
    return f"{first} smiles more than {second}, by strength: {', '.join(shares)}"


if __name__ == "__main__":
    main()
