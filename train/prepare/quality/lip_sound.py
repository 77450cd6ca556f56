"""Does this sound move these lips? A regression that is fitted on the data set itself
tells, each clip by folds that do not hold its subject."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from train.prepare.quality.pieces import PIECE_SECONDS, total_minutes
from train.prepare.quality.regression import (
    Piece,
    Regressor,
    area_under_curve,
    fit,
    fold_numbers,
    lagged_correlations,
)

REACH = 2
"""Readings of lag at which right pairs are looked for."""
FAR_REACH = 15
"""Readings of lag at which a shifted sound is looked for: 0.6 s."""
LEAST_LAG = 5
"""Readings of lag from which a sound counts as shifted. The best lags of people who talk
lie between -3 and 2."""
LAG_PERCENTILE = 95
"""Percentile of the wrong pairs' scores, over all lags, that a shifted sound reaches."""
LAG_SHARE = 0.6
"""Share of the median score of pieces that pass, which a shifted sound reaches too."""
LAG_SPREAD = 1
"""Readings by which the lags of a clip's pieces may differ from a constant one."""
FOLDS = 5
LEAST_SUBJECTS = 3
LEAST_PIECES = 12
LEAST_MINUTES = 2.5
LEAST_AREA = 0.75
"""Area under the curve of right against wrong pairs from which the score tells enough to
judge a clip."""
MOST_FITTED = 360
"""Most pieces that a regression is fitted to: an hour."""
WRONG_PAIRS = 10
"""Wrong pairs of each piece."""
CANDIDATES = 200
"""Pieces among which the wrong pairs of a piece are chosen."""


@dataclass(frozen=True)
class Verdict:
    """Scores of a data set's clips, and those of wrong pairs.

    Attributes:
      scores: clip -> its score.
      right: scores of all pieces.
      wrong: scores of lips with the sound of other subjects.
      area: probability that a piece's score exceeds a wrong pair's.
      threshold: least score that passes.
      lags: clip -> constant lag in readings, far beyond that of people who talk.
      lagged: clip -> its score at that lag.
      lips: source of the lips, for the user.
      folds: composition of the folds, for the user.
      refusal: why there is no gate; empty if there is one.
    """

    lips: str
    folds: str = ""
    refusal: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    right: Float64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    wrong: Float64[np.ndarray, " m"] = field(default_factory=lambda: np.zeros(0))
    area: float = float("nan")
    threshold: float = float("nan")
    lags: Mapping[str, int] = field(default_factory=dict)
    lagged: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """True if the gate judges clips."""
        return not self.refusal

    def lines(self) -> list[str]:
        """Return lines for the user."""
        lines = [f"lip_sound: lips are read from {self.lips}"]
        if self.folds:
            lines.append(
                f"lip_sound: {len(self.scores)} clips, {self.folds}; right pairs "
                f"{_spread(self.right)}, wrong pairs {_spread(self.wrong)}, area {self.area:.2f}"
            )
        if self.is_on:
            lines.append(f"lip_sound: at least {self.threshold:.3f} passes")
        else:
            lines.append(f"lip_sound: no gate, as {self.refusal}")
        return lines


def _spread(scores: Float64[np.ndarray, " n"]) -> str:
    """Return the median and the outer tenths of scores."""
    low, middle, high = np.percentile(scores, [10, 50, 90])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def folds_by_subject(subjects: Iterable[str]) -> bool:
    """Return whether there are enough subjects for folds of whole subjects."""
    return len(set(subjects)) >= LEAST_SUBJECTS


def judge_pieces(
    load: Callable[[], Iterable[Piece]], step: int, percentile: float, lips: str
) -> Verdict:
    """Return the scores of all clips by their pieces.

    Args:
      load: returns the pieces of all clips, the same at each call; those of a clip
        follow each other.
      step: a regression is fitted to every `step`th piece; see `fitted_step`.
      percentile: percentile of the wrong pairs' scores that is the threshold.
      lips: source of the lips, for the user.
    """
    # Features of all pieces may exceed the memory; lips and predictions do not.
    pieces = [
        piece if index % step == 0 else piece.without_sound()
        for index, piece in enumerate(load())
    ]
    minutes = total_minutes(pieces)
    if len(pieces) < LEAST_PIECES:
        least = f"{LEAST_PIECES} are needed (clips over 10 s count as pieces of 10 s)"
        return Verdict(lips, refusal=f"there are {len(pieces)} clips, and {least}")
    if minutes < LEAST_MINUTES:
        refusal = f"there are {minutes:.1f} minutes, and {LEAST_MINUTES} are needed"
        return Verdict(lips, refusal=refusal)
    groups, folds = _groups(pieces)
    regressors = _fit_folds(pieces, groups, step)
    # the second pass brings back the sound that was dropped
    whole = pieces if step == 1 else load()
    predictions = [
        regressors[group].predict(piece)
        for piece, group in zip(whole, groups, strict=True)
    ]
    curves = np.stack(
        [
            lagged_correlations(piece.lips, prediction, FAR_REACH)
            for piece, prediction in zip(pieces, predictions, strict=True)
        ]
    )
    right = near(curves)
    wrong_curves = _wrong_curves(pieces, predictions)
    wrong = near(wrong_curves)
    area = area_under_curve(right, wrong)
    threshold = float(np.percentile(wrong, percentile))
    clips = _by_clip(pieces)
    least = _least_lagged(right, wrong_curves, threshold)
    lags = _constant_lags(pieces, predictions, curves, clips, least)
    lagged = {
        clip: float(curves[clips[clip], FAR_REACH + lag].mean())
        for clip, lag in lags.items()
    }
    refusal = ""
    if area < LEAST_AREA:
        refusal = (
            f"right and wrong pairs part by an area of {area:.2f} under the curve, and {LEAST_AREA} is "
            "needed: the set is too small, or most of its sound does not move its lips"
        )
    scores = {clip: float(right[rows].mean()) for clip, rows in clips.items()}
    return Verdict(
        lips, folds, refusal, scores, right, wrong, area, threshold, lags, lagged
    )


def _least_lagged(
    right: Float64[np.ndarray, " n"],
    wrong_curves: Float64[np.ndarray, "m lags"],
    threshold: float,
) -> float:
    """Return the score that a shifted sound reaches at its lag: more than wrong pairs,
    to which far lags offer more chances, and near to that of pieces that pass."""
    chance = float(np.percentile(wrong_curves.max(axis=1), LAG_PERCENTILE))
    passing = right[right >= threshold]
    if not passing.size:
        return chance
    return max(chance, LAG_SHARE * float(np.median(passing)))


def near(curves: Float64[np.ndarray, "n lags"]) -> Float64[np.ndarray, " n"]:
    """Return the greatest of the correlations at small lags."""
    # the column of lag 0
    middle = curves.shape[1] // 2
    return curves[:, middle - REACH : middle + REACH + 1].max(axis=1)


def _groups(pieces: Sequence[Piece]) -> tuple[list[int], str]:
    """Return the fold of every piece, and a phrase about the folds."""
    subjects = [piece.subject for piece in pieces]
    clips = [piece.clip for piece in pieces]
    count = len(set(subjects))
    if folds_by_subject(subjects):
        return fold_numbers(subjects, min(FOLDS, count)), "folds by subject"
    few = f"as there are fewer than {LEAST_SUBJECTS} subjects"
    if len(set(clips)) >= FOLDS:
        return fold_numbers(clips, FOLDS), f"folds by clip, {few}"
    # one name for all: the positions are cut into folds
    return fold_numbers([""] * len(pieces), FOLDS), f"folds by piece, {few}"


def fitted_step(seconds: float) -> int:
    """Return the step between pieces that a regression is fitted to, of a data set of
    so many seconds."""
    return max(1, round(seconds / PIECE_SECONDS / MOST_FITTED))


def _fit_folds(
    pieces: Sequence[Piece], groups: Sequence[int], step: int
) -> dict[int, Regressor]:
    """Return a regressor for every fold, which has not seen its pieces."""
    # only these pieces kept their sound
    chosen = list(zip(pieces[::step], groups[::step], strict=True))
    regressors = {}
    for group in sorted(set(groups)):
        others = [piece for piece, number in chosen if number != group]
        regressors[group] = fit(others)
    return regressors


def _wrong_curves(
    pieces: Sequence[Piece], predictions: Sequence[np.ndarray]
) -> Float64[np.ndarray, "m lags"]:
    """Return the correlations of lips with the sound of other subjects; of other clips
    or pieces, if there are no other subjects."""
    # the same wrong pairs in every run
    draw = np.random.default_rng(0)
    curves = []
    for index, piece in enumerate(pieces):
        # of a large data set, a few candidates
        pool = draw.permutation(len(pieces))[:CANDIDATES].tolist()
        for other in _others(pieces, index, pool)[:WRONG_PAIRS]:
            curve = lagged_correlations(piece.lips, predictions[other], FAR_REACH)
            curves.append(curve)
    return np.stack(curves)


def _others(pieces: Sequence[Piece], index: int, pool: Sequence[int]) -> list[int]:
    """Return the candidates of other subjects, or else of other clips or pieces."""
    piece = pieces[index]
    subjects = [n for n in pool if pieces[n].subject != piece.subject]
    clips = [n for n in pool if pieces[n].clip != piece.clip]
    return subjects or clips or [n for n in pool if n != index]


def _by_clip(pieces: Sequence[Piece]) -> dict[str, list[int]]:
    """Return the numbers of each clip's pieces."""
    clips: dict[str, list[int]] = {}
    for index, piece in enumerate(pieces):
        clips.setdefault(piece.clip, []).append(index)
    return clips


def _constant_lags(
    pieces: Sequence[Piece],
    predictions: Sequence[np.ndarray],
    curves: Float64[np.ndarray, "n lags"],
    clips: Mapping[str, list[int]],
    least: float,
) -> dict[str, int]:
    """Return the clips whose lips follow or precede the sound by a constant lag, far
    beyond that of people who talk, at which they score at least `least`."""
    lags = {}
    for clip, rows in clips.items():
        # pieces lags -> lags
        mean = curves[rows].mean(axis=0)
        lag = int(np.argmax(mean)) - FAR_REACH
        if abs(lag) < LEAST_LAG or mean[lag + FAR_REACH] < least:
            continue
        halves = [
            half for row in rows for half in _halves(pieces[row].lips, predictions[row])
        ]
        # chance seldom repeats a lag in every half; short halves score less
        if all(_has_lag(half, lag, least / 2) for half in halves):
            lags[clip] = lag
    return lags


def _has_lag(curve: Float64[np.ndarray, " lags"], lag: int, least: float) -> bool:
    """Return whether correlations are greatest about a lag, and high enough there."""
    best = int(np.argmax(curve))
    return abs(best - FAR_REACH - lag) <= LAG_SPREAD and curve[best] >= least


def _halves(
    lips: np.ndarray, prediction: np.ndarray
) -> list[Float64[np.ndarray, " lags"]]:
    """Return the correlations of both halves of a piece, at all lags."""
    middle = len(lips) // 2
    parts = slice(0, middle), slice(middle, None)
    return [
        lagged_correlations(lips[part], prediction[part], FAR_REACH) for part in parts
    ]
