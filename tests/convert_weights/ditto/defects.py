"""A reference for Ditto's option sets that show a defect of its program, which ours does
not repeat: factors of logits in place of angles, and a fading of the lips that fades eyes
too."""

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
        share = np.minimum(np.array(options["vad_alpha"], np.float32), 1)[:, None, None]
        # All keypoints, and not only the lips.
        still = np.asarray(source.motion.expression)
        expression = share * expression + (1 - share) * still
    degrees = []
    for axis, angle in enumerate(ANGLES):
        values = np.asarray(driven.logits)[:, axis]
        factor = np.float32(options.get(f"alpha_{angle}", 1.0))
        if f"delta_{angle}" in options:
            offset = np.float32(options[f"delta_{angle}"])
            degrees.append((degrees_of(values) + offset) * factor)
        else:
            # A factor of logits, which no angle has.
            degrees.append(degrees_of(values * factor))
    moved = BinnedMotion(
        jnp.asarray(expression), driven.logits, driven.translation, driven.scale
    )
    angles = jnp.asarray(np.stack(degrees, axis=1))
    return place(source.motion, moved, angles, np.float32(case.drives_eyes))
