"""A reference for Ditto's option sets that show a defect of its program, which ours does
not repeat: factors of logits in place of angles, and a fading of the lips that fades eyes
too."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from convert_weights.ditto.cases import Case, move, read_motion, read_source
from convert_weights.ditto.recipe import ANGLES, DittoRecipe
from jaxportrait.motion.binned import degrees_of
from jaxportrait.pipeline.compose_ditto import BinnedMotion, place


def drive_defect(recipe: DittoRecipe, case: Case) -> Any:
    """Return the driving keypoints of an option set as published."""
    source = read_source(recipe, video=case.video)
    clip, rest = read_motion(recipe, case)
    driven = move(source.motion, clip, rest, case)
    options = {**case.setup.get("overall_ctrl_info", {}), **case.frame}
    expression = np.asarray(driven.expression)
    if "vad_alpha" in options:
        # As published, factors above 1 do nothing.
        share = np.minimum(np.array(options["vad_alpha"], np.float32), 1)
        share = share[:, None, None]
        # All keypoints fade, and not only the lips.
        still = np.asarray(source.motion.expression)
        expression = share * expression + (1 - share) * still
    logits = np.asarray(driven.logits)
    # One angle after the other, since only some are offset.
    angles = [
        turn_angle(logits[:, axis], angle, options) for axis, angle in enumerate(ANGLES)
    ]
    moved = BinnedMotion(
        jnp.asarray(expression),
        driven.logits,
        driven.translation,
        driven.scale,
    )
    degrees = jnp.asarray(np.stack(angles, axis=1))
    gaze = np.float32(case.drives_eyes)
    return place(source.motion, moved, degrees, gaze)


def turn_angle(logits: np.ndarray, angle: str, options: Mapping[str, Any]) -> Any:
    """Return degrees of an angle with its factor and its offset."""
    factor = np.float32(options.get(f"alpha_{angle}", 1.0))
    offset = options.get(f"delta_{angle}")
    if offset is None:
        # A factor of logits, which no angle has.
        return degrees_of(logits * factor)
    return (degrees_of(logits) + np.float32(offset)) * factor
