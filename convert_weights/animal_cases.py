"""The golden option cases of LivePortrait's pipeline for animals: keypoints that it hands
to its renderer, beside those of our retargeting."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from convert_weights.motion_cases import (
    MOTION_BOUND,
    Figures,
    convert_corrections,
    read_driving,
    read_source,
)
from convert_weights.parity import Comparison, compare_whole
from convert_weights.recipe import Recipe
from jaxportrait.motion.space import KeypointGroups
from jaxportrait.pipeline.correct import CorrectionNetworks
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.rest import find_rest
from jaxportrait.pipeline.retarget import drive

FILE = "animals.npz"


def verify_animals(golden: Path) -> list[Comparison]:
    """Compare every case with the golden one; a folder without such cases has none.

    Source and driving motion are those of `motion.npz`.
    """
    if not (golden / FILE).exists():
        return []
    inputs = dict(np.load(golden / "motion.npz"))
    figures = dict(np.load(golden / FILE))
    cases = json.loads((golden / "animal_cases.json").read_text())
    networks = convert_corrections(Recipe(golden))
    rows = []
    for index, case in enumerate(cases):
        figure = figures[f"case{index}/x_d"]
        keypoints = drive_case(inputs, networks, case)
        name = f"animal {index} {describe(case)}"
        rows.append(compare_whole(name, keypoints, figure, MOTION_BOUND))
    return rows


def drive_case(
    inputs: Figures, networks: dict[str, Any], case: dict[str, Any]
) -> np.ndarray:
    """Return the driving keypoints of one case."""
    retargeting = Retargeting(
        composition="animal",
        stitching=case["flag_stitching"],
        driving_multiplier=case["driving_multiplier"],
    )
    clip = read_driving(inputs)
    groups = KeypointGroups()
    return drive(
        read_source(inputs),
        clip,
        find_rest(clip, "first", groups),
        retargeting,
        CorrectionNetworks(**{name: networks[name] for name in retargeting.parts}),
        groups=groups,
    )


def describe(case: dict[str, Any]) -> str:
    """Return a case's options in a few words."""
    stitching = "stitching" if case["flag_stitching"] else "no stitching"
    return f"{stitching}, x{case['driving_multiplier']:g}"
