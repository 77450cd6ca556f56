"""Ridge regression from sound to lips, by folds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64
from scipy.signal import butter, sosfiltfilt

from train.prepare.quality.lips import LIP_RATE
from train.prepare.quality.sound import SPECTRUM_RATE

COMPONENTS = 64
"""Principal components of the audio features that are used."""
FEATURE_REACH = 2
"""Readings before and after one, whose features tell it."""
SPECTRUM_REACH = 4
"""Spectra before and after a reading that tell it."""
SLOWEST = 0.3
"""Hertz below which lips move with the expression and the head, not with speech."""
PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
INNER_FOLDS = 3
EPSILON = 1e-6


@dataclass(frozen=True)
class Piece:
    """A part of a clip, ten seconds at most.

    Attributes:
      clip: name of the clip.
      subject: name of the speaker.
      lips: lips as they move, 25 a second, by `prepare_lips`.
      features: audio features, 25 a second, without their mean.
      spectrum: log-mel bands, 50 a second, without their mean.
    """

    clip: str
    subject: str
    lips: Float32[np.ndarray, "n k"]
    features: Float32[np.ndarray, "n width"]
    spectrum: Float32[np.ndarray, "m bands"]

    @property
    def bands(self) -> Float32[np.ndarray, "n lagged_bands"]:
        """Spectra around every reading, side by side."""
        # neighbours at 50 a second first, and then every second row
        per_reading = SPECTRUM_RATE // LIP_RATE
        return neighbours(self.spectrum, SPECTRUM_REACH)[::per_reading]

    def without_sound(self) -> "Piece":
        """Return the piece with its lips only."""
        return replace(self, features=self.features[:0], spectrum=self.spectrum[:0])


def prepare_lips(curves: Float[np.ndarray, "n k"]) -> Float32[np.ndarray, "n k"]:
    """Return curves without their slow movement, each of unit deviation."""
    sections = butter(2, SLOWEST, "highpass", fs=LIP_RATE, output="sos")
    # forth and back: one way would shift lips against the sound
    quick = sosfiltfilt(sections, curves.astype(np.float64), axis=0)
    deviation = quick.std(axis=0)
    return (quick / np.maximum(deviation, EPSILON)).astype(np.float32)


def without_mean(values: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Return values without their mean over time."""
    wide = values.astype(np.float32)
    return wide - wide.mean(axis=0)


def neighbours(
    values: Float[np.ndarray, "n d"], reach: int
) -> Float[np.ndarray, "n lagged"]:
    """Return every row with those before and after it, side by side; the ends are
    repeated."""
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    count = len(values)
    shifts = [padded[start : start + count] for start in range(2 * reach + 1)]
    # n d -> n (2 reach + 1) d
    return np.concatenate(shifts, axis=1)


@dataclass(frozen=True)
class Block:
    """A linear preparation of one kind of values: mean, projection, and scale.

    Attributes:
      mean: mean of the training pieces.
      projection: directions that are used, scaled.
    """

    mean: Float64[np.ndarray, " d"]
    projection: Float64[np.ndarray, "d c"]

    def __call__(self, values: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "n c"]:
        return (values - self.mean) @ self.projection


def fit_block(values: Float[np.ndarray, "n d"], components: int | None) -> Block:
    """Return the preparation of values to unit variance, by their first principal
    components if `components` is not None."""
    mean = values.mean(axis=0, dtype=np.float64)
    deviation = np.maximum(values.std(axis=0, dtype=np.float64), EPSILON)
    if components is None:
        return Block(mean, np.diag(1 / deviation))
    normal = (values - mean) / deviation
    # eigenvalues ascend, so the last vectors are the first components
    _, vectors = np.linalg.eigh(normal.T @ normal)
    directions = vectors[:, ::-1][:, :components]
    # the block has the variance of one of `components` values of deviation 1
    spread = np.sqrt(np.square(normal @ directions).mean())
    scale = max(float(spread), EPSILON)
    return Block(mean, directions / deviation[:, None] / scale)


@dataclass(frozen=True)
class Regressor:
    """A linear map from sound to lips.

    Attributes:
      features: preparation of the audio features.
      bands: preparation of the spectra around a reading.
      weights: weights of the prepared values, and of 1.
    """

    features: Block
    bands: Block
    weights: Float64[np.ndarray, "d k"]

    def predict(self, piece: Piece) -> Float32[np.ndarray, "n k"]:
        """Return the lips that a piece's sound tells."""
        values = design(piece, self.features, self.bands)
        return (values @ self.weights).astype(np.float32)


def design(piece: Piece, features: Block, bands: Block) -> Float64[np.ndarray, "n d"]:
    """Return what the regression reads for every reading of a piece."""
    # components first: 5 x 64 values a reading, not 5 x width
    sound = neighbours(features(piece.features), FEATURE_REACH)
    spectra = bands(piece.bands)
    one = np.ones((len(sound), 1))
    return np.concatenate([sound, spectra, one], axis=1)


def fit(pieces: Sequence[Piece]) -> Regressor:
    """Fit a regressor to pieces; its penalty is chosen by inner folds."""
    features = fit_block(
        np.concatenate([piece.features for piece in pieces]), COMPONENTS
    )
    bands = fit_block(np.concatenate([piece.bands for piece in pieces]), None)
    # Sums of products of every inner fold, from which any fit is made.
    groups = fold_numbers([piece.subject for piece in pieces], INNER_FOLDS)
    sums: dict[int, _Sums] = {}
    for piece, group in zip(pieces, groups, strict=True):
        part = _sums(design(piece, features, bands), piece.lips)
        sums[group] = sums[group] + part if group in sums else part
    first, *others = sums.values()
    total = sum(others, first)
    errors = dict.fromkeys(PENALTIES, 0.0)
    for part in sums.values():
        # by subtraction, no piece is read again
        rest = total.minus(part)
        for penalty in PENALTIES:
            errors[penalty] += part.error(rest.solve(penalty))
    best = min(errors, key=lambda penalty: errors[penalty])
    return Regressor(features, bands, total.solve(best))


@dataclass(frozen=True)
class _Sums:
    """Sums of products over readings.

    Attributes:
      inputs: products of the inputs with each other.
      both: products of inputs and outputs.
      outputs: squares of the outputs.
    """

    inputs: Float64[np.ndarray, "d d"]
    both: Float64[np.ndarray, "d k"]
    outputs: float

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(
            self.inputs + other.inputs,
            self.both + other.both,
            self.outputs + other.outputs,
        )

    def minus(self, part: "_Sums") -> "_Sums":
        return _Sums(
            self.inputs - part.inputs,
            self.both - part.both,
            self.outputs - part.outputs,
        )

    def solve(self, penalty: float) -> Float64[np.ndarray, "d k"]:
        """Return the weights of ridge regression; that of the constant is free."""
        ridge = np.full(len(self.inputs), penalty)
        # the last input is the constant
        ridge[-1] = EPSILON
        return np.linalg.solve(self.inputs + np.diag(ridge), self.both)

    def error(self, weights: Float64[np.ndarray, "d k"]) -> float:
        """Return the squared error of weights."""
        # |y - xw|^2 by the sums, without the readings
        cross = float((self.both * weights).sum())
        power = float((weights * (self.inputs @ weights)).sum())
        return self.outputs - 2 * cross + power


def _sums(x: Float64[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]) -> _Sums:
    wide = y.astype(np.float64)
    return _Sums(x.T @ x, x.T @ wide, float(np.square(wide).sum()))


def fold_numbers(names: Sequence[str], count: int) -> list[int]:
    """Return a fold for every name; equal names share one, and folds are about equally
    large.

    With fewer names than folds, the positions are cut into folds.
    """
    sizes = Counter(names)
    if len(sizes) < count:
        return [index * count // len(names) for index in range(len(names))]
    # the largest names first, each into the smallest fold
    totals = [0] * count
    folds = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        fold = totals.index(min(totals))
        folds[name] = fold
        totals[fold] += sizes[name]
    return [folds[name] for name in names]


def lagged_correlations(
    lips: Float[np.ndarray, "n k"], prediction: Float[np.ndarray, "m k"], reach: int
) -> Float64[np.ndarray, " lags"]:
    """Return the correlations, averaged over curves, at lags of `-reach` to `reach`
    readings; lips follow where the lag is positive.

    Args:
      lips: curves as they are.
      prediction: curves that the sound tells; the longer of both is cut.
      reach: largest lag, in readings.
    """
    count = min(len(lips), len(prediction))
    lags = range(-reach, reach + 1)
    # both parts have count - |lag| readings
    scores = [
        _correlation(
            lips[max(0, lag) : count + min(0, lag)],
            prediction[max(0, -lag) : count - max(0, lag)],
        )
        for lag in lags
    ]
    return np.array(scores)


def _correlation(
    first: Float[np.ndarray, "n k"], second: Float[np.ndarray, "n k"]
) -> float:
    """Return the mean over columns of the correlation of two arrays."""
    x = first - first.mean(axis=0)
    y = second - second.mean(axis=0)
    power = np.sqrt(np.square(x).sum(axis=0) * np.square(y).sum(axis=0))
    # a curve at rest correlates with nothing: 0
    return float(((x * y).sum(axis=0) / np.maximum(power, EPSILON)).mean())


def area_under_curve(
    right: Float[np.ndarray, " n"], wrong: Float[np.ndarray, " m"]
) -> float:
    """Return the probability that a right pair's score exceeds a wrong one's."""
    ordered = np.sort(wrong)
    # ties count one half
    below = np.searchsorted(ordered, right, side="left")
    equal = np.searchsorted(ordered, right, side="right") - below
    return float((below + equal / 2).mean() / len(wrong))
