"""The region of the mouth within a crop, for videos of which only the mouth changes."""

import numpy as np
from jaxtyping import Float32

from jaxportrait.media.crop import CROP_SIZE, SOURCE_SCALE, SOURCE_SHIFT
from jaxportrait.media.paste import soft_mask
from jaxportrait.ops.curves import smoothstep

# In sides of the face's hull, which reaches from the brows (-0.5) to the chin (0.5) and
# from ear to ear. A mouth lies at 0.23; the chin drops by some 0.1 as it opens.
CENTER = 0.31
"""Center of the region below the center of the hull: between mouth and chin."""
HALF_WIDTH = 0.36
HALF_HEIGHT = 0.31
"""Half axes of the region, to which the mask falls to zero: from under the nose to below
an open chin, and over the cheeks that a mouth pulls."""
INNER = 0.55
"""Share of the region's half axes within which the mask is one."""


def mouth_mask(
    zoom: float = 1.0, size: int = CROP_SIZE
) -> Float32[np.ndarray, "size size"]:
    """Return the weights of the mouth in a crop of a source: one over mouth and chin,
    falling smoothly to exactly zero at an ellipse around them.

    Crops are upright and follow the face, and so does the mask.

    Args:
      zoom: how many times tighter than LivePortrait's it is cropped.
      size: side of the crop in pixels.
    """
    side = zoom / SOURCE_SCALE
    # A crop is shifted against the hull by a share of its own side.
    middle = 0.5 - SOURCE_SHIFT + CENTER * side
    position = (np.arange(size) + 0.5) / size
    across = (position - 0.5) / (HALF_WIDTH * side)
    down = (position - middle) / (HALF_HEIGHT * side)
    radius = np.hypot(across[None, :], down[:, None])
    depth = np.clip((1 - radius) / (1 - INNER), 0, 1)
    # Tight crops end near the chin.
    return (smoothstep(depth) * soft_mask(size)).astype(np.float32)
