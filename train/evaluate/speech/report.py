"""What is found out about heads that speak: measures over clips, and their tables."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from rich.table import Table

from train.evaluate.motion.metrics import correlation
from train.evaluate.speech.heads import Truth
from train.evaluate.speech.measures import (
    agreement,
    best_lag,
    blink_rate,
    deviation,
    disagreement,
    shut_closures,
)
from train.evaluate.speech.readers import REGIONS, Reading

Measures = Mapping[str, float]
MOTION = ("pitch", "yaw", "roll", "x", "y")
LEAST_DEVIATION = 0.01
"""Of a curve with which a clip's reading is correlated; who does not blink at all has
less."""


def quality(
    readings: Sequence[Reading], truths: Sequence[Truth]
) -> dict[str, dict[str, float]]:
    """How well each regressor reads the truth: mean correlation within clips that move,
    and over all frames."""
    found = {}
    for name in REGIONS:
        pairs = [
            (getattr(r, name), getattr(t, name))
            for r, t in zip(readings, truths, strict=True)
        ]
        within = [
            correlation(*pair) for pair in pairs if pair[1].std() > LEAST_DEVIATION
        ]
        read, true = (np.concatenate(side) for side in zip(*pairs, strict=True))
        found[name] = {
            "correlation": float(np.mean(within)) if within else 0.0,
            "correlation_over_all": correlation(read, true),
            "mean_absolute_error": float(np.abs(read - true).mean()),
        }
    return found


def speech(readings: Sequence[Reading], truths: Sequence[Truth]) -> dict[str, float]:
    """How well lips say what their clips' truth says: means over clips; closures are
    counted over all.

    `correlation` and `least_correlation` are with the opening in the truth of the same
    sentence, `wrong_correlation` with that of the other clips; `lag_frames` is where
    the mean correlation is largest. `closed` is the share of the closures of p, b and m
    in which lips are seen shut, `closed_by_chance` that of another clip's closures.
    """
    openings, wanted = (
        [reading.opening for reading in readings],
        [truth.opening for truth in truths],
    )
    agreed, lagged = zip(
        *(agreement(*pair) for pair in zip(openings, wanted, strict=True)), strict=True
    )
    wrong = [
        disagreement(opening, wanted[:i] + wanted[i + 1 :])
        for i, opening in enumerate(openings)
    ]
    return {
        "correlation": float(np.mean(agreed)),
        "least_correlation": float(np.min(agreed)),
        "lag_frames": best_lag(np.mean(lagged, axis=0)),
        "wrong_correlation": float(np.mean(wrong)),
        "closed": _closed(openings, truths),
        "closed_by_chance": _closed(openings, [*truths[1:], truths[0]]),
    }


def _closed(
    openings: Sequence[Float[np.ndarray, " f"]], truths: Sequence[Truth]
) -> float:
    shut = np.concatenate(
        [
            shut_closures(*each)
            for each in zip(openings, (t.closures for t in truths), strict=True)
        ]
    )
    return float(shut.mean()) if shut.size else 0.0


def motion(
    blink: Sequence[Float[np.ndarray, " f"]], head: Sequence[Float[np.ndarray, "f 5"]]
) -> dict[str, float]:
    """Blinks a minute, and deviations of head pose (degrees) and place (parts of the
    picture) within clips."""
    deviations = zip(MOTION, deviation(head).tolist(), strict=True)
    return {"blinks_a_minute": blink_rate(blink), **dict(deviations)}


def true_motion(truths: Sequence[Truth]) -> dict[str, float]:
    """The same of truth files."""
    places = [
        np.concatenate([truth.pose, truth.translation], axis=1) for truth in truths
    ]
    return motion([truth.blink for truth in truths], places)


def quality_table(found: Mapping[str, Measures]) -> Table:
    """A row a regressor: how well it reads truth frames of people it never saw."""
    table = Table("regressor of", "r within clips", "r over all", "mean error")
    for name, measures in found.items():
        table.add_row(name, *(f"{value:.3f}" for value in measures.values()))
    return table


def speech_table(rows: Mapping[str, Measures]) -> Table:
    """A row a kind of video: mouth opening against the truth of the sentence, and
    closures of p, b and m."""
    table = Table(
        "mouths of",
        "r",
        "least r",
        "lag, frames",
        "r, wrong sentence",
        "p b m shut",
        "by chance",
    )
    for name, m in rows.items():
        curves = (f"{m[key]:.3f}" for key in ("correlation", "least_correlation"))
        shares = (f"{m[key]:.0%}" for key in ("closed", "closed_by_chance"))
        table.add_row(
            name,
            *curves,
            f"{m['lag_frames']:+d}",
            f"{m['wrong_correlation']:.3f}",
            *shares,
        )
    return table


def motion_table(rows: Mapping[str, Measures]) -> Table:
    """A row a kind of video: blinks, and how far the head moves."""
    table = Table(
        "heads of",
        "blinks a minute",
        "pitch, deg",
        "yaw",
        "roll",
        "x, % of picture",
        "y",
    )
    for name, m in rows.items():
        angles = (f"{m[key]:.2f}" for key in MOTION[:3])
        table.add_row(
            name,
            f"{m['blinks_a_minute']:.1f}",
            *angles,
            *(f"{100 * m[key]:.2f}" for key in MOTION[3:]),
        )
    return table
