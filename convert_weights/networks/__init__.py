"""Key maps: a row a kind of network, beside its row in `jaxportrait.models.parts`."""

from convert_weights.networks import (
    appearance,
    flow_transformer,
    generator,
    hubert,
    lmdm,
    motion,
    motion_diffusion,
    stitching,
    vgg,
    warping,
    whisper,
)
from convert_weights.networks.base import KeyMap

KEY_MAPS: dict[str, KeyMap] = {
    "appearance": appearance.KEY_MAP,
    "motion": motion.KEY_MAP,
    "warping": warping.KEY_MAP,
    "generator": generator.KEY_MAP,
    "stitching": stitching.KEY_MAP,
    "whisper": whisper.KEY_MAP,
    "hubert": hubert.KEY_MAP,
    "flow_transformer": flow_transformer.KEY_MAP,
    "lmdm": lmdm.KEY_MAP,
    "motion_diffusion": motion_diffusion.KEY_MAP,
    "vgg": vgg.KEY_MAP,
}
"""Kind -> key map. A kind without weights, such as `log_mel`, has none."""
