"""What an evaluation leaves behind: a table, `evaluation.json` and plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from jaxportrait.motion.space import MOTION_FPS
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


def table(rows: Rows, truth: Measures) -> Table:
    """A row a setting; the last row is what the truth has. What the motion space has
    none of is left out.

    `keypoints` and `pose` are errors, `velocity` and `accel.` are ratios to the truth,
    `seams` is the bend at window borders to that elsewhere, `lips r` and `lag` compare
    lip opening with loudness, `audio` is the error with the wrong sound to that with
    the right one.
    """
    names = _measured(rows)
    result = Table("steps", "guidance", *(COLUMNS[name] for name in names))
    for setting, measures in rows:
        result.add_row(
            str(setting.steps),
            f"{setting.guidance:g}",
            *(_text(measures[name]) for name in names),
        )
    result.add_section()
    result.add_row("truth", "", *(_text(truth.get(name)) for name in names))
    return result


def content(
    rows: Rows, truth: Measures, facts: Mapping[str, object]
) -> dict[str, object]:
    """All measures, with the facts under which they were taken, as JSON keeps them."""
    results = [
        {"steps": setting.steps, "guidance": setting.guidance, **measures}
        for setting, measures in rows
    ]
    return {**facts, "truth": truth, "results": results}


def plot_measures(path: Path, rows: Rows, truth: Measures) -> None:
    """Every measure over guidance, a line a number of steps; the truth is dashed."""
    from matplotlib.figure import Figure

    figure, names = Figure(figsize=(13, 10), layout="constrained"), _measured(rows)
    for panel, name in enumerate(names, start=1):
        axes = figure.add_subplot(-(-len(names) // 3), 3, panel)
        for steps in sorted({setting.steps for setting, _ in rows}):
            line = [
                (setting.guidance, measures[name])
                for setting, measures in rows
                if setting.steps == steps
            ]
            guidance, values = zip(*line, strict=True)
            axes.plot(
                guidance,
                [np.nan if value is None else value for value in values],
                "o-",
                label=f"{steps} steps",
            )
        if (wanted := truth.get(name)) is not None:
            axes.axhline(wanted, color="black", linestyle="--", linewidth=1)
        axes.set(title=COLUMNS[name], xlabel="guidance")
    figure.axes[0].legend()
    figure.savefig(path)


def plot_lips(
    path: Path, clip: HeldOut, sampled: Sampled, setting: Setting, scale: Scale
) -> None:
    """Lip opening of a clip, true and sampled, over the loudness of its sound."""
    from matplotlib.figure import Figure

    seconds = np.arange(len(clip.truth)) / MOTION_FPS
    figure = Figure(figsize=(13, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        seconds, scale.lips.opening(clip.truth, scale.space), "black", label="truth"
    )
    for index, sample in enumerate(sampled.samples):
        axes.plot(
            seconds,
            scale.lips.opening(sample, scale.space),
            linewidth=1,
            label=f"seed {index}",
        )
    axes.set(
        title=f"{clip.clip}: {setting.steps} Euler steps, guidance {setting.guidance:g}",
        xlabel="s",
        ylabel="lip opening",
    )
    loudness = axes.twinx()
    loudness.fill_between(seconds, clip.envelope, color="gray", alpha=0.3)
    loudness.set(ylabel="loudness", ylim=(0, 3 * max(float(clip.envelope.max()), 1e-6)))
    axes.legend(loc="upper right")
    figure.savefig(path)


def _measured(rows: Rows) -> list[str]:
    """The measures that have a value at any setting."""
    return [
        name
        for name in COLUMNS
        if any(measures[name] is not None for _, measures in rows)
    ]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
