"""Results of an evaluation: a table, `evaluation.json` and plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.whole import write_whole
from train.evaluate.motion.sweep import HeldOut, Measures, Sampled, Scale, Setting
from train.evaluate.motion.sync import CANDIDATES

Rows = Sequence[tuple[Setting, Measures]]
References = Mapping[str, Measures]
"""Measures of the baselines and of the truth, by name."""

LIP_COLUMNS = {
    "true_lip_correlation": "lips r",
    "least_lip_correlation": "least r",
    "true_lip_lag_milliseconds": "lag, ms",
    "lip_correlation": "loudness r",
    "lip_lag_milliseconds": "lag, ms",
    "closures": "p, b, m",
    "closures_by_chance": "by chance",
    "wrong_lip_correlation": "wrong r",
    "wrong_audio_ratio": "audio",
    "embedding_sync": "sync",
    "blinks_a_minute": "blinks",
}
MOVEMENT_COLUMNS = {
    "keypoint_error": "keypoints",
    "centered_error": "centred",
    "pose_error": "pose, °",
    "velocity_ratio": "velocity",
    "acceleration_ratio": "accel.",
    "jerk_ratio": "jerk",
    "frechet_distance": "Fréchet",
    "diversity": "diversity",
    "seam_ratio": "seams",
}
TITLES = {
    "true_lip_lag_milliseconds": "lag behind the true lips, ms",
    "lip_lag_milliseconds": "lag behind the loudness, ms",
}
"""Columns whose names say too little by themselves."""
PANELS_A_ROW = 3


def tables(rows: Rows, references: References) -> list[Table]:
    """Return two tables with one row a setting, then the baselines and the truth.

    Measures that the motion space does not have are left out.

    The first is of lips and lids. `lips r` is the correlation of lip opening with the
    true one, `least r` that of the worst clip, `loudness r` the correlation with the
    loudness; each has its lag. `p, b, m` is the share of their closures in which lips
    are shut, beside that with another clip's. `wrong r` is `lips r` with the wrong
    sound, `audio` the error with it to that with the right one, `sync` the share of
    windows whose sound an embedding finds among 16,
    `blinks` are counted a minute. Models are ranked by `lips r`.

    The second is of errors and movement. `keypoints`, `centred` (about each clip's
    mean) and `pose` are errors, `velocity`, `accel.` and `jerk` are ratios to the
    truth, `seams` is the bend at window borders to that elsewhere.
    """
    return [
        _table("lips and lids", LIP_COLUMNS, rows, references),
        _table("errors and movement", MOVEMENT_COLUMNS, rows, references),
    ]


def _table(
    title: str, columns: Mapping[str, str], rows: Rows, references: References
) -> Table:
    names = _available(columns, rows)
    table = Table("steps", "guidance", *(columns[name] for name in names), title=title)
    for setting, measures in rows:
        values = [_text(measures[name]) for name in names]
        table.add_row(str(setting.steps), f"{setting.guidance:g}", *values)
    table.add_section()
    for reference, measures in references.items():
        values = [_text(measures.get(name)) for name in names]
        table.add_row(reference, "", *values)
    return table


def notes(references: References) -> list[str]:
    """Return lines about the measures themselves: how far the embedding can be trusted,
    and what is unknown."""
    truth = references["truth"]
    lines = []
    accuracy = truth["embedding_sync"]
    if accuracy is not None:
        lines.append(
            f"sync: of the held-out clips' true windows, the embedding finds the sound of {accuracy:.0%} among "
            f"{CANDIDATES} (chance: {1 / CANDIDATES:.0%})"
        )
    if truth["closures"] is None:
        lines.append(
            "p, b, m: unknown, as no truth file beside the held-out videos names their closures"
        )
    return lines


def content(
    rows: Rows, references: References, facts: Mapping[str, object]
) -> dict[str, object]:
    """Return all measures with the facts about the evaluation, as JSON."""
    results = [
        {"steps": setting.steps, "guidance": setting.guidance, **measures}
        for setting, measures in rows
    ]
    baselines = {name: row for name, row in references.items() if name != "truth"}
    truth = references["truth"]
    return {**facts, "truth": truth, "baselines": baselines, "results": results}


def plot_measures(path: Path, rows: Rows, references: References) -> None:
    """Plot every measure over guidance, a line a number of steps; the truth is
    dashed."""
    from matplotlib.figure import Figure

    columns = {**LIP_COLUMNS, **MOVEMENT_COLUMNS, **TITLES}
    names = _available(columns, rows)
    # rounded up
    panel_rows = -(-len(names) // PANELS_A_ROW)
    figure = Figure(figsize=(13, 2.5 * panel_rows), layout="constrained")
    for panel, name in enumerate(names, start=1):
        axes = figure.add_subplot(panel_rows, PANELS_A_ROW, panel)
        _plot_lines(axes, rows, name)
        level = references["truth"].get(name)
        if level is not None:
            axes.axhline(level, color="black", linestyle="--", linewidth=1)
        axes.set(title=columns[name], xlabel="guidance")
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


def _available(columns: Mapping[str, str], rows: Rows) -> list[str]:
    """Return the measures that have a value at any setting."""
    return [
        name
        for name in columns
        if any(measures[name] is not None for _, measures in rows)
    ]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
