"""The golden cases of LivePortrait's sliders: keypoints of an edited picture, beside
those of our edits."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from convert_weights.motion_cases import MOTION_BOUND, convert_corrections, read_source
from convert_weights.parity import Comparison, compare_whole
from convert_weights.recipe import Recipe
from jaxportrait.media.faces.openness import openness_of
from jaxportrait.motion.sliders import PUBLISHED_SLIDERS
from jaxportrait.pipeline.correct import CorrectionNetworks
from jaxportrait.pipeline.edits import Edits, EditTrack, edit_keypoints
from jaxportrait.types import Source

FIGURES = "edits.npz"
CASES = "edit_cases.json"


def verify_edits(golden: Path) -> list[Comparison]:
    """Compare the keypoints of every case with the golden ones."""
    figures = dict(np.load(golden / FIGURES))
    inputs = dict(np.load(golden / "motion.npz"))
    cases = json.loads((golden / CASES).read_text())
    networks = convert_corrections(Recipe(golden))
    rows = []
    for index, case in enumerate(cases):
        # The keypoints that the published code hands to its renderer.
        figure = figures[f"case{index}/x_d"]
        keypoints = edit_case(inputs, networks, case)
        name = f"edit{index} {describe(case)}"
        rows.append(compare_whole(name, keypoints, figure, MOTION_BOUND))
    return rows


def edit_case(
    inputs: Mapping[str, np.ndarray], networks: Mapping[str, Any], case: dict[str, Any]
) -> np.ndarray:
    """Return the keypoints of one case."""
    stitching = networks["stitching"] if case["stitching"] else None
    return edit_keypoints(
        without_depth(read_source(dict(inputs))),
        EditTrack.of_edits(Edits(**case["edits"])),
        CorrectionNetworks(stitching, networks["eyes"], networks["lips"]),
        sliders=PUBLISHED_SLIDERS,
        openness=openness_of(inputs["landmarks203"]),
    )


def without_depth(source: Source) -> Source:
    """Return a source whose translation has no z; see `edit_keypoints`."""
    # Scales the three components.
    planar = source.motion.translation * jnp.array([[1.0, 1.0, 0.0]])
    return replace(source, motion=replace(source.motion, translation=planar))


def describe(case: dict[str, Any]) -> str:
    """Return a case's numbers in a few words."""
    words = [f"{name} {number:g}" for name, number in case["edits"].items()]
    if case["stitching"]:
        words.append("stitching")
    return ", ".join(words) or "nothing"
