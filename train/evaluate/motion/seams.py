"""Seams of long sounds: bends of motion at window borders, over those elsewhere.

A held-out clip has few borders, and what is spoken there decides its ratio. So all
held-out clips are joined to one long sound, again and again, in other orders and from
other places.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np
from jaxtyping import Float

from jaxportrait.drivers.sampling import SampledWindows
from jaxportrait.drivers.windows import WindowSizes
from jaxportrait.motion.space import MotionSpace, MotionStatistics, normalize
from train.data.records import WINDOW_STEP, ClipRecord, feature_at
from train.evaluate.motion.sweep import HeldOut, Sample, Setting, hold_out

Sums = Float[np.ndarray, "sounds 4"]
"""Sum of the bends at borders, their number, the sum elsewhere and its number."""

RESAMPLES = 2000
"""Draws of the bootstrap."""
FIRST_SEED = 1000
"""Seed of the first sound's noise; held-out clips have smaller ones."""


@dataclass(frozen=True)
class Seams:
    """A ratio of seams with its interval of 95 %, by a bootstrap over sounds.

    Attributes:
      ratio: mean second difference at window borders, over that elsewhere.
      low: lower end of the interval.
      high: upper end of the interval.
      borders: borders of all sounds.
      sounds: how many sounds.
    """

    ratio: float
    low: float
    high: float
    borders: int
    sounds: int

    def __str__(self) -> str:
        interval = f"{self.low:.2f} to {self.high:.2f}"
        return f"{self.ratio:.2f} ({interval}) at {self.borders} borders of {self.sounds} sounds"

    def facts(self) -> dict[str, float | None]:
        """Return the ratio and its interval by name, for a report."""
        return {
            "long_seam_ratio": self.ratio,
            "long_seam_low": self.low,
            "long_seam_high": self.high,
            "long_seam_borders": self.borders,
        }


def join_sounds(
    records: Sequence[ClipRecord],
    count: int,
    config: WindowSizes,
    space: MotionSpace,
    windows: SampledWindows,
) -> list[HeldOut]:
    """Return `count` sounds of all clips, joined in random orders and rotated."""
    # The same sounds for every model and setting.
    random = np.random.default_rng(0)
    joined = []
    for _ in range(count):
        order = random.permutation(len(records))
        record = _join([records[index] for index in order])
        # Features start with every third frame only.
        steps = record.frames // WINDOW_STEP
        joined.append(_rotate(record, WINDOW_STEP * int(random.integers(steps))))
    return hold_out(joined, config, space, windows) if joined else []


def measure_seams(
    sample: Sample,
    sounds: Sequence[HeldOut],
    statistics: MotionStatistics,
    setting: Setting,
) -> Seams | None:
    """Return the seams of a sampler's motion; None if it has no border, or rests.

    Each sound has noise of its own.
    """
    sums = np.array(list(_bends(sample, sounds, statistics, setting)))
    total = sums.sum(axis=0)
    # No border, or motion that never bends.
    if not total.all():
        return None
    # A bootstrap over sounds, which are independent; borders of one sound are not.
    random = np.random.default_rng(0)
    draws = random.integers(len(sums), size=(RESAMPLES, len(sums)))
    ratios = _ratio(sums[draws].sum(axis=1))
    low, high = np.quantile(ratios, (0.025, 0.975))
    # A border has a frame before it and one after it.
    borders = int(total[1]) // 2
    return Seams(float(_ratio(total)), float(low), float(high), borders, len(sums))


def _bends(
    sample: Sample,
    sounds: Sequence[HeldOut],
    statistics: MotionStatistics,
    setting: Setting,
) -> Iterator[Float[np.ndarray, " 4"]]:
    """Yield the sums of each sound."""
    for index, sound in enumerate(sounds):
        key = jax.random.key(FIRST_SEED + index)
        motion = sample(sound.features, sound.network_frames, key, setting)
        # In deviations, so that degrees and offsets count alike.
        values = normalize(motion, statistics)
        bends = np.abs(np.diff(values, 2, axis=0)).mean(axis=1)
        inside = bends[~sound.seams]
        at_borders = bends[sound.seams]
        yield np.array(
            [at_borders.sum(), len(at_borders), inside.sum(), len(inside)], np.float64
        )


def _ratio(sums: Float[np.ndarray, "*n 4"]) -> Float[np.ndarray, "*n"]:
    at_borders = sums[..., 0] / sums[..., 1]
    return at_borders / (sums[..., 2] / sums[..., 3])


def _join(records: Sequence[ClipRecord]) -> ClipRecord:
    """Return one record of whole clips, one after the other, without their labels."""
    cut = [_cut(record) for record in records]
    return ClipRecord(
        " ".join(record.clip for record in cut),
        cut[0].subject,
        np.concatenate([record.motion for record in cut]),
        np.concatenate([record.features for record in cut]),
        np.concatenate([record.envelope for record in cut]),
    )


def _cut(record: ClipRecord) -> ClipRecord:
    """Return a record up to the last frame at which a feature ends, too."""
    frames = record.frames // WINDOW_STEP * WINDOW_STEP
    return replace(
        record,
        motion=record.motion[:frames],
        features=record.features[: feature_at(frames)],
        envelope=record.envelope[:frames],
    )


def _rotate(record: ClipRecord, frames: int) -> ClipRecord:
    """Return a record that starts so many frames later, and ends with those before."""
    return replace(
        record,
        motion=np.roll(record.motion, -frames, axis=0),
        features=np.roll(record.features, -feature_at(frames), axis=0),
        envelope=np.roll(record.envelope, -frames),
    )
