"""Contents of the checkpoints that these tests write."""

import numpy as np

from jaxportrait.checkpoint import (
    DRIVER,
    Contents,
    Crop,
    DriverEntry,
)
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.motion.space import MotionStatistics

# Means that all differ, so that a permutation would show.
STATISTICS = MotionStatistics(
    np.arange(18, dtype=np.float32), np.full(18, 0.1, np.float32)
)
TRANSFORMER = FlowTransformerConfig(18, 8, 16, 2, 1, 1)
FLOW = DriverEntry(FlowDriverConfig(cfg_scale=2.5), STATISTICS)
# Few values are defaults, so that a lost field would show.
CONTENTS = Contents(
    Crop(64, zoom=1.25, detector="yunet"),
    {
        "appearance": AppearanceConfig.tiny(),
        "stitching": StitchingConfig.stitching(),
        "flow_transformer": TRANSFORMER,
    },
    {DRIVER: FLOW},
)
