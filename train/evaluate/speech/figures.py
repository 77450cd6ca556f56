"""Pictures of an evaluation: frames side by side with the truth's, and the two curves
of mouth opening."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxportrait.motion.space import MOTION_FPS
from train.evaluate.renderer.sheets import caption_row, write_png
from train.evaluate.speech.heads import pictures_of
from train.evaluate.speech.measures import Curve

COLUMNS = 8


def draw_frames(path: Path, videos: Mapping[Path, Path]) -> None:
    """Two rows a clip: frames of the true video, and those of the rendered one at the
    same moments.

    Args:
      videos: true -> rendered.
    """
    rows = []
    for video, rendered in videos.items():
        true, made = pictures_of(video), pictures_of(rendered)
        total = min(len(true), len(made))
        chosen = [(2 * part + 1) * total // (2 * COLUMNS) for part in range(COLUMNS)]
        times = [f"{frame / MOTION_FPS:.2f} s" for frame in chosen]
        rows.append(
            caption_row(
                [true[frame] for frame in chosen], [f"truth, {time}" for time in times]
            )
        )
        rows.append(
            caption_row(
                [made[frame] for frame in chosen],
                [f"rendered, {time}" for time in times],
            )
        )
    write_png(path, np.concatenate(rows))


def plot_openings(path: Path, curves: Mapping[str, tuple[Curve, Curve]]) -> None:
    """A panel a clip: mouth opening in the truth of its sentence, and as read in what
    was rendered.

    Args:
      curves: clip -> true and rendered.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 2.4 * len(curves)), layout="constrained")
    for axes, (clip, both) in zip(
        figure.subplots(len(curves), squeeze=False)[:, 0], curves.items(), strict=True
    ):
        for curve, label, colour in zip(
            both, ("truth", "rendered"), ("black", "tab:red"), strict=True
        ):
            axes.plot(np.arange(len(curve)) / MOTION_FPS, curve, colour, label=label)
        axes.set(title=clip, xlabel="s", ylabel="mouth opening")
    figure.axes[0].legend(loc="upper right")
    figure.savefig(path)
