"""Measures over clips of heads that speak, and their tables."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from rich.table import Table

from train.evaluate.motion.metrics import correlation
from train.evaluate.speech.heads import TrueMotion
from train.evaluate.speech.measures import (
    Curve,
    agreement,
    best_lag,
    blink_rate,
    deviation,
    disagreement,
    share_shut,
)
from train.evaluate.speech.readers import READ, Reading

Measures = Mapping[str, float]
MOTION = ("pitch", "yaw", "roll", "x", "y")
LEAST_DEVIATION = 0.01
"""Least deviation of a curve with which a clip's reading is correlated; lids that do not
blink at all have less."""


def quality(
    readings: Sequence[Reading], truths: Sequence[TrueMotion]
) -> dict[str, dict[str, float]]:
    """Return how well each regressor reads the truth: mean correlation within clips that
    move, and over all frames."""
    results = {}
    for name in READ:
        read = [getattr(reading, name) for reading in readings]
        true = [getattr(truth, name) for truth in truths]
        results[name] = _agreement_of(read, true)
    return results


def _agreement_of(read: Sequence[Curve], true: Sequence[Curve]) -> dict[str, float]:
    within = [
        correlation(measured, curve)
        for measured, curve in zip(read, true, strict=True)
        if curve.std() > LEAST_DEVIATION
    ]
    all_read = np.concatenate(read)
    all_true = np.concatenate(true)
    return {
        "correlation": float(np.mean(within)) if within else 0.0,
        "correlation_over_all": correlation(all_read, all_true),
        "mean_absolute_error": float(np.abs(all_read - all_true).mean()),
    }


def measure_speech(
    readings: Sequence[Reading], truths: Sequence[TrueMotion]
) -> dict[str, float]:
    """Return how well lips say what their clips' truth says: means over clips; closures
    are counted over all.

    `correlation` and `least_correlation` are with the opening in the truth of the same
    sentence, `wrong_correlation` with that of the other clips; `lag_frames` is where
    the mean correlation is largest. `closed` is the share of the closures of p, b and m
    in which lips are shut, `closed_by_chance` that of another clip's closures.
    """
    openings = [reading.opening for reading in readings]
    true = [truth.opening for truth in truths]
    correlations, lagged, wrong = [], [], []
    for index, opening in enumerate(openings):
        same, lags = agreement(opening, true[index])
        correlations.append(same)
        lagged.append(lags)
        # every other sentence
        wrong.append(disagreement(opening, true[:index] + true[index + 1 :]))
    closures = [truth.closures for truth in truths]
    others = [*closures[1:], closures[0]]
    return {
        "correlation": float(np.mean(correlations)),
        "least_correlation": float(np.min(correlations)),
        "lag_frames": best_lag(np.mean(lagged, axis=0)),
        "wrong_correlation": float(np.mean(wrong)),
        "closed": share_shut(openings, closures) or 0.0,
        "closed_by_chance": share_shut(openings, others) or 0.0,
    }


def measure_motion(
    blink: Sequence[Curve], head: Sequence[Float[np.ndarray, "f 5"]]
) -> dict[str, float]:
    """Return blinks a minute, and deviations of head pose (degrees) and place (parts of
    the picture) within clips."""
    deviations = zip(MOTION, deviation(head).tolist(), strict=True)
    return {"blinks_a_minute": blink_rate(blink), **dict(deviations)}


def measure_true_motion(truths: Sequence[TrueMotion]) -> dict[str, float]:
    """Return the measures of `measure_motion` for truth files."""
    heads = [
        np.concatenate([truth.pose, truth.translation], axis=1) for truth in truths
    ]
    return measure_motion([truth.blink for truth in truths], heads)


def quality_table(results: Mapping[str, Measures]) -> Table:
    """Return a table with one row a regressor: how well it reads truth frames of people
    it never saw."""
    table = Table("regressor of", "r within clips", "r over all", "mean error")
    for name, measures in results.items():
        table.add_row(name, *(f"{value:.3f}" for value in measures.values()))
    return table


def speech_table(rows: Mapping[str, Measures]) -> Table:
    """Return a table with one row a kind of video: mouth opening against the truth of
    the sentence, and closures of p, b and m."""
    curves = ("r", "least r", "lag, frames", "r, wrong sentence")
    table = Table("mouths of", *curves, "p b m shut", "by chance")
    for name, measures in rows.items():
        table.add_row(
            name,
            f"{measures['correlation']:.3f}",
            f"{measures['least_correlation']:.3f}",
            f"{measures['lag_frames']:+d}",
            f"{measures['wrong_correlation']:.3f}",
            f"{measures['closed']:.0%}",
            f"{measures['closed_by_chance']:.0%}",
        )
    return table


def motion_table(rows: Mapping[str, Measures]) -> Table:
    """Return a table with one row a kind of video: blinks, and how far the head
    moves."""
    angles = ("pitch, deg", "yaw", "roll")
    table = Table("heads of", "blinks a minute", *angles, "x, % of picture", "y")
    for name, measures in rows.items():
        values = [f"{measures['blinks_a_minute']:.1f}"]
        values += [f"{measures[key]:.2f}" for key in MOTION[:3]]
        values += [f"{100 * measures[key]:.2f}" for key in MOTION[3:]]
        table.add_row(name, *values)
    return table
