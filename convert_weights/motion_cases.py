"""The golden option cases of LivePortrait's pipeline: keypoints that it hands to the
renderer, beside those of our retargeting."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from convert_weights.bundle import convert_files, write
from convert_weights.parity import Comparison, compare_whole
from convert_weights.recipe import STITCHING, Recipe, write_stitching
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.media.faces.openness import openness_of
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import KeypointGroups
from jaxportrait.pipeline.correct import CorrectionNetworks
from jaxportrait.pipeline.options import CORRECTION_PARTS, Retargeting
from jaxportrait.pipeline.rest import find_rest
from jaxportrait.pipeline.retarget import drive
from jaxportrait.types import Motion, Source

MOTION_BOUND = 1e-5
"""Largest error of a keypoint, as a share of the largest coordinate."""
REGIONS = {
    "all": "all",
    "exp": "expression",
    "pose": "pose",
    "lip": "lips",
    "eyes": "eyes",
}
"""LivePortrait's region -> ours."""
FLAGS = {
    "flag_relative_motion": "relative_motion",
    "flag_stitching": "stitching",
    "flag_normalize_lip": "normalize_lips",
    "flag_eye_retargeting": "eye_retargeting",
    "flag_lip_retargeting": "lip_retargeting",
    "flag_source_video_eye_retargeting": "source_video_eye_retargeting",
    "driving_smooth_observation_variance": "driving_smooth_observation_variance",
    "driving_option": "driving_option",
    "driving_multiplier": "driving_multiplier",
}
"""LivePortrait's option -> ours, with the same values."""
FPS = 25
"""Rate of the driving frames; no case depends on it."""

Figures = dict[str, np.ndarray]


def verify_motion(golden: Path) -> list[Comparison]:
    """Compare the driving keypoints of every case with the golden ones."""
    figures = dict(np.load(golden / "motion.npz"))
    cases = json.loads((golden / "motion_cases.json").read_text())
    networks = convert_corrections(Recipe(golden))
    rows = []
    for index, case in enumerate(cases):
        figure = figures[f"case{index}/x_d"]
        keypoints = drive_case(figures, networks, case)
        name = f"case{index} {describe(case)}"
        rows.append(compare_whole(name, keypoints, figure, MOTION_BOUND))
    return rows


def convert_corrections(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's stitching and retargeting networks, by our names, written as
    a published file and converted."""
    with tempfile.TemporaryDirectory() as folder:
        file = write_stitching(recipe, "full", Path(folder, "published"))
        write(convert_files({STITCHING: file}), Path(folder, "checkpoint"))
        checkpoint = open_checkpoint(Path(folder, "checkpoint"))
        return {
            name: checkpoint.network(part, dtype=jnp.float32)
            for name, part in CORRECTION_PARTS.items()
        }


def drive_case(
    figures: Figures, networks: dict[str, Any], case: dict[str, Any]
) -> np.ndarray:
    """Return the driving keypoints of one case."""
    retargeting = read_options(case)
    clip, rest = read_motion(figures, case, retargeting)
    return drive(
        read_source(figures),
        clip,
        rest,
        retargeting,
        CorrectionNetworks(**{name: networks[name] for name in retargeting.parts}),
        groups=KeypointGroups(),
        openness=openness_of(figures["landmarks203"]),
    )


def read_options(case: dict[str, Any]) -> Retargeting:
    """Return our options of a case."""
    options = {ours: case[theirs] for theirs, ours in FLAGS.items() if theirs in case}
    return Retargeting(region=REGIONS[case["animation_region"]], **options)  # pyright: ignore[reportArgumentType]


def read_motion(
    figures: Figures, case: dict[str, Any], retargeting: Retargeting
) -> tuple[MotionClip, MotionClip | None]:
    """Return the driving motion of a case, and its rest."""
    # A driving picture is one frame, whose expression counts from a neutral face.
    is_picture = case["template"] == "image"
    clip = read_driving(figures)
    clip = clip[:1] if is_picture else clip
    policy = "neutral" if is_picture else "first"
    return clip, find_rest(clip, policy, KeypointGroups(), retargeting.region)


def read_source(figures: Figures) -> Source:
    """Return the golden source; its volumes are of no interest to retargeting."""
    motion = source_motion(figures.__getitem__)
    nothing = jnp.zeros(())
    return Source(nothing, nothing, jnp.asarray(figures["x_s"]), motion, nothing)


def source_motion(read: Callable[[str], np.ndarray]) -> Motion:
    """Return the golden motion of a source.

    Args:
      read: returns the array of a golden name.
    """
    angles = [read(f"source/{name}") for name in ("pitch", "yaw", "roll")]
    return Motion(
        keypoints=jnp.asarray(read("source/kp")),
        expression=jnp.asarray(read("source/exp")),
        pose=jnp.asarray(np.concatenate(angles, axis=1)),
        translation=jnp.asarray(read("source/t")),
        scale=jnp.asarray(read("source/scale")),
    )


def read_driving(figures: Figures) -> MotionClip:
    """Return the golden driving frames."""
    # A rotation for each driving frame, and for nothing else.
    count = sum(name.endswith("/R") for name in figures)

    def stack(name: str) -> np.ndarray:
        frames = [figures[f"driving{index}/{name}"] for index in range(count)]
        return np.concatenate(frames)

    return MotionClip(
        expression=stack("exp"),
        rotation=stack("R"),
        translation=stack("t"),
        scale=stack("scale"),
        fps=FPS,
        eyes=stack("c_eyes"),
        lips=stack("c_lip"),
    )


def describe(case: dict[str, Any]) -> str:
    """Return a case's options in a few words."""
    words = [
        "relative" if case["flag_relative_motion"] else "absolute",
        case["animation_region"],
        case["driving_option"],
        case["template"],
    ]
    # `is`, since a multiplier of 1 equals True as well.
    flags = [
        name.removeprefix("flag_")
        for name, value in case.items()
        if value is True and name != "flag_relative_motion"
    ]
    if case["driving_multiplier"] != 1:
        flags.append(f"x{case['driving_multiplier']}")
    if "driving_smooth_observation_variance" in case:
        flags.append(f"variance {case['driving_smooth_observation_variance']}")
    return ", ".join([*words, *flags])
