"""Figures of an evaluation: frames side by side with the truth's, and the two curves of
mouth opening."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.whole import write_whole
from train.data.spacing import evenly_spaced
from train.evaluate.renderer.sheets import Picture, caption_row, write_png
from train.evaluate.speech.heads import pictures_of
from train.evaluate.speech.measures import Curve

COLUMNS = 8


def draw_frames(path: Path, videos: Mapping[Path, Path]) -> None:
    """Draw two rows a clip: frames of the true video, and those of the rendered one at
    the same moments.

    Args:
      path: PNG file to write.
      videos: true video -> rendered video.
    """
    rows = []
    for video, rendered_video in videos.items():
        true = pictures_of(video)
        rendered = pictures_of(rendered_video)
        # both videos have these frames
        frames = evenly_spaced(min(len(true), len(rendered)), COLUMNS)
        times = [f"{frame / MOTION_FPS:.2f} s" for frame in frames]
        for name, pictures in (("truth", true), ("rendered", rendered)):
            shown: list[Picture] = [pictures[frame] for frame in frames]
            rows.append(caption_row(shown, [f"{name}, {time}" for time in times]))
    write_png(path, np.concatenate(rows))


def plot_openings(path: Path, curves: Mapping[str, tuple[Curve, Curve]]) -> None:
    """Plot a panel a clip: mouth opening in the truth of its sentence, and as read in
    the rendered video.

    Args:
      path: PNG file to write.
      curves: clip -> true and rendered curve.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 2.4 * len(curves)), layout="constrained")
    panels = figure.subplots(len(curves), squeeze=False)[:, 0]
    for axes, clip in zip(panels, curves, strict=True):
        true, rendered = curves[clip]
        axes.plot(np.arange(len(true)) / MOTION_FPS, true, "black", label="truth")
        seconds = np.arange(len(rendered)) / MOTION_FPS
        axes.plot(seconds, rendered, "tab:red", label="rendered")
        axes.set(title=clip, xlabel="s", ylabel="mouth opening")
    figure.axes[0].legend(loc="upper right")
    with write_whole(path) as partial:
        figure.savefig(partial)
