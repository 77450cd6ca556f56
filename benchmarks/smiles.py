"""Smiles of drawn people: the truth, and a regression that reads them off motion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxportrait.motion.space import EXPRESSION
from train.data.records import ClipRecord
from train.data.truth import read_arrays, truth_path

SMILE = "smile"
"""Array of a drawn clip's truth file: -1 (corners down) to 1, for every frame."""
RIDGE = 1.0
"""Weight of the regression's penalty; from 0.1 to 3, people that it has not seen are
read equally well."""

Values = list[Float[np.ndarray, "frames d"]]
"""Values of the frames of each clip."""


@dataclass(frozen=True)
class SmileReader:
    """A linear regression from expression to smile, both since a person's mean.

    Faces differ more than smiles do: a person's own mean is what a smile is seen by.

    Attributes:
      weights: weight of each value of the expression.
    """

    weights: Float[np.ndarray, " 63"]

    @classmethod
    def fit(cls, records: Sequence[ClipRecord], videos: Path) -> "SmileReader":
        """Return the regression of clips' smiles.

        Args:
          records: motion of the clips.
          videos: folder of the drawn clips.
        """
        inputs = np.concatenate(expressions(records))
        targets = np.concatenate(true_smiles(records, videos))
        # No intercept: both have a mean of zero.
        penalty = RIDGE * np.eye(inputs.shape[1])
        weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ targets)
        return cls(weights[:, 0])

    def read(self, change: Float[np.ndarray, "n 63"]) -> float:
        """Return the mean smile of a changed expression."""
        return float(np.mean(change @ self.weights))


@dataclass(frozen=True)
class Verdict:
    """Reading of a clip of a person whom the regression has not seen.

    Attributes:
      emotion, level: labels of the clip.
      smile: mean smile as it is read, since the person's mean.
      truth: true mean smile, since the person's mean.
    """

    emotion: str
    level: int
    smile: float
    truth: float


def judge_people(records: Sequence[ClipRecord], videos: Path) -> list[Verdict]:
    """Return a verdict on every clip, by a regression over the other people."""
    verdicts = []
    for person in sorted({record.subject for record in records}):
        others = [record for record in records if record.subject != person]
        clips = [record for record in records if record.subject == person]
        # A face that the regression has seen would be read too well.
        reader = SmileReader.fit(others, videos)
        smiles = [reader.read(values) for values in expressions(clips)]
        truth = [float(values.mean()) for values in true_smiles(clips, videos)]
        emotions = [str(clip.labels["emotion"]) for clip in clips]
        levels = [int(clip.labels["level"]) for clip in clips]
        verdicts += map(Verdict, emotions, levels, smiles, truth)
    return verdicts


def expressions(records: Sequence[ClipRecord]) -> Values:
    """Return the expression of each clip's frames, since its person's mean."""
    return _since_mean(records, [record.motion[:, EXPRESSION] for record in records])


def true_smiles(records: Sequence[ClipRecord], videos: Path) -> Values:
    """Return the true smile of each clip's frames, since its person's mean."""
    return _since_mean(records, [_true_smile(record, videos) for record in records])


def _true_smile(record: ClipRecord, videos: Path) -> Float[np.ndarray, "frames 1"]:
    smile = read_arrays(truth_path(videos / record.clip), [SMILE])[SMILE]
    # Drawn videos have the rate of motion, 30 frames a second.
    return smile[record.start : record.start + record.frames, None]


def _since_mean(records: Sequence[ClipRecord], values: Values) -> Values:
    """Return values of clips less the mean over their person's frames."""
    frames: dict[str, Values] = {}
    for record, part in zip(records, values, strict=True):
        frames.setdefault(record.subject, []).append(part.astype(np.float64))
    means = {
        person: np.concatenate(parts).mean(axis=0) for person, parts in frames.items()
    }
    pairs = zip(records, values, strict=True)
    return [part - means[record.subject] for record, part in pairs]
