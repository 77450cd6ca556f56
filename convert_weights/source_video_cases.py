"""The golden option cases of source videos: keypoints that LivePortrait's pipeline hands
to its renderer for every frame, and its Kalman smoothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from convert_weights.motion_cases import (
    MOTION_BOUND,
    Figures,
    convert_corrections,
    describe,
    read_driving,
    read_options,
    source_motion,
)
from convert_weights.parity import Comparison, compare_whole
from convert_weights.recipe import Recipe
from jaxportrait.media.faces.openness import openness_of
from jaxportrait.motion.space import KeypointGroups
from jaxportrait.pipeline.correct import CorrectionNetworks
from jaxportrait.pipeline.rest import find_rest
from jaxportrait.pipeline.retarget_video import VideoFaces, drive_video, held_openness
from jaxportrait.pipeline.smooth import smooth
from jaxportrait.types import SourceFrames

FILE = "source_video.npz"
SMOOTHED = "smooth/"
"""Start of the names of smoothed sequences; the variance follows."""


def verify_source_video(golden: Path) -> list[Comparison]:
    """Compare every case with the golden one; a folder without such cases has none."""
    if not (golden / FILE).exists():
        return []
    figures = dict(np.load(golden / FILE))
    cases = json.loads((golden / "source_video_cases.json").read_text())
    networks = convert_corrections(Recipe(golden))
    rows = []
    for index, case in enumerate(cases):
        keypoints = drive_case(figures, networks, case)
        name = f"source video {index} {describe(case)}"
        figure = figures[f"case{index}/x_d"]
        rows.append(compare_whole(name, keypoints, figure, MOTION_BOUND))
    for name in figures:
        variance = name.removeprefix(SMOOTHED)
        if name.startswith(SMOOTHED) and variance != "x":
            values = smooth(figures[f"{SMOOTHED}x"], float(variance))
            rows.append(compare_whole(name, values, figures[name], MOTION_BOUND))
    return rows


def drive_case(
    figures: Figures, networks: dict[str, Any], case: dict[str, Any]
) -> np.ndarray:
    """Return the driving keypoints of one case."""
    retargeting = read_options(case)
    is_picture = case["template"] == "image"
    clip = read_driving(figures)
    clip = clip[:1] if is_picture else clip
    groups = KeypointGroups()
    policy = "neutral" if is_picture else "first"
    # As published, a picture over a video counts from a neutral face in every region.
    rest = find_rest(clip, policy, groups)
    faces = read_faces(figures, blinks=case.get("blink", False))
    # The shorter of both videos decides; a picture drives all frames.
    count = len(faces) if is_picture else min(len(faces), len(clip))
    return drive_video(
        faces.rows(np.arange(count)),
        clip[:count],
        rest,
        retargeting,
        CorrectionNetworks(**{name: networks[name] for name in retargeting.parts}),
        groups=groups,
    )


def read_faces(figures: Figures, *, blinks: bool) -> VideoFaces:
    """Return the golden frames of a source video.

    Args:
      blinks: shut the eyes of the first frame.
    """
    motion = source_motion(figures.__getitem__)
    frames = SourceFrames(figures["source/x_s"], motion)
    landmarks = figures["source/landmarks203"].copy()
    if blinks:
        landmarks[0] = figures["source/blink203"]
    rows = []
    for points in landmarks:
        openness = openness_of(points)
        if openness is not None:
            rows.append(openness.row)
    openness = np.concatenate(rows)
    # LivePortrait knows no cuts: one shot.
    shots = np.zeros(len(openness), int)
    faces = VideoFaces(frames, shots, openness)
    return replace(faces, first_eyes=held_openness(openness[0, :2]))
