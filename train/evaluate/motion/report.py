"""Results of an evaluation: a table, `evaluation.json` and plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.whole import write_whole
from train.evaluate.motion.sweep import HeldOut, Measures, Sampled, Scale, Setting

Rows = Sequence[tuple[Setting, Measures]]

COLUMNS = {
    "keypoint_error": "keypoints",
    "pose_error": "pose, °",
    "velocity_ratio": "velocity",
    "acceleration_ratio": "accel.",
    "frechet_distance": "Fréchet",
    "diversity": "diversity",
    "seam_ratio": "seams",
    "lip_correlation": "lips r",
    "lip_lag_milliseconds": "lag, ms",
    "wrong_audio_ratio": "audio",
}
PANELS_A_ROW = 3


def table(rows: Rows, truth: Measures) -> Table:
    """Return a table with one row a setting, and the truth's measures as the last row.

    Measures that the motion space does not have are left out. `keypoints` and `pose`
    are errors, `velocity` and `accel.` are ratios to the truth, `seams` is the bend at
    window borders to that elsewhere, `lips r` and `lag` compare lip opening with
    loudness, `audio` is the error with the wrong sound to that with the right one.
    """
    names = _available(rows)
    result = Table("steps", "guidance", *(COLUMNS[name] for name in names))
    for setting, measures in rows:
        values = [_text(measures[name]) for name in names]
        result.add_row(str(setting.steps), f"{setting.guidance:g}", *values)
    result.add_section()
    result.add_row("truth", "", *(_text(truth.get(name)) for name in names))
    return result


def content(
    rows: Rows, truth: Measures, facts: Mapping[str, object]
) -> dict[str, object]:
    """Return all measures with the facts about the evaluation, as JSON."""
    results = [
        {"steps": setting.steps, "guidance": setting.guidance, **measures}
        for setting, measures in rows
    ]
    return {**facts, "truth": truth, "results": results}


def plot_measures(path: Path, rows: Rows, truth: Measures) -> None:
    """Plot every measure over guidance, a line a number of steps; the truth is
    dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10), layout="constrained")
    names = _available(rows)
    # rounded up
    panel_rows = -(-len(names) // PANELS_A_ROW)
    for panel, name in enumerate(names, start=1):
        axes = figure.add_subplot(panel_rows, PANELS_A_ROW, panel)
        _plot_lines(axes, rows, name)
        level = truth.get(name)
        if level is not None:
            axes.axhline(level, color="black", linestyle="--", linewidth=1)
        axes.set(title=COLUMNS[name], xlabel="guidance")
    figure.axes[0].legend()
    with write_whole(path) as partial:
        figure.savefig(partial)


def _plot_lines(axes: Any, rows: Rows, name: str) -> None:
    for steps in sorted({setting.steps for setting, _ in rows}):
        guidance, values = [], []
        for setting, measures in rows:
            if setting.steps == steps:
                # a missing value leaves a gap in the line
                value = measures[name]
                guidance.append(setting.guidance)
                values.append(np.nan if value is None else value)
        axes.plot(guidance, values, "o-", label=f"{steps} steps")


def plot_lips(
    path: Path, clip: HeldOut, sampled: Sampled, setting: Setting, scale: Scale
) -> None:
    """Plot lip opening of a clip, true and sampled, over the loudness of its sound."""
    from matplotlib.figure import Figure

    seconds = np.arange(len(clip.truth)) / MOTION_FPS
    figure = Figure(figsize=(13, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(seconds, scale.opening(clip.truth), "black", label="truth")
    for index, sample in enumerate(sampled.samples):
        opening = scale.opening(sample)
        axes.plot(seconds, opening, linewidth=1, label=f"seed {index}")
    sampler = f"{setting.steps} Euler steps, guidance {setting.guidance:g}"
    axes.set(title=f"{clip.clip}: {sampler}", xlabel="s", ylabel="lip opening")
    loudness = axes.twinx()
    loudness.fill_between(seconds, clip.envelope, color="gray", alpha=0.3)
    # the loudness fills the lower third
    top = 3 * max(float(clip.envelope.max()), 1e-6)
    loudness.set(ylabel="loudness", ylim=(0, top))
    axes.legend(loc="upper right")
    with write_whole(path) as partial:
        figure.savefig(partial)


def _available(rows: Rows) -> list[str]:
    """Return the measures that have a value at any setting."""
    return [
        name
        for name in COLUMNS
        if any(measures[name] is not None for _, measures in rows)
    ]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
