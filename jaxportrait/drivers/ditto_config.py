"""Ditto's driver as a checkpoint describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxportrait.checkpoint import CheckpointError
from jaxportrait.drivers.ditto_condition import EMOTIONS, TAIL_WIDTH
from jaxportrait.models.character import CharacterConfig
from jaxportrait.models.lmdm import LMDMConfig
from jaxportrait.motion.binned import BINNED_WIDTH
from jaxportrait.motion.space import MotionStatistics
from jaxportrait.ranges import Guidance, check_ranges

FPS = 25.0


class DittoTraits:
    """Properties that the driver and its config share."""

    @property
    def fps(self) -> float:
        return FPS

    @property
    def moves_head(self) -> bool:
        return True

    @property
    def composition(self) -> str:
        """The composition of the driver's original."""
        return "ditto"

    @property
    def has_face(self) -> bool:
        """True: eyes and emotions are options."""
        return True

    @property
    def emotion_names(self) -> tuple[str, ...]:
        """The emotions that its network knows."""
        return EMOTIONS


@dataclass(frozen=True)
class DittoDriverConfig(DittoTraits):
    """A driver that samples motion from sound with Ditto's network.

    Attributes:
      features: name of the file that encodes sound, an ONNX graph.
      network: the part that makes the motion.
      character: the part that holds the face whose motion it makes.
      cfg_scale: default scale of classifier-free guidance.
    """

    features: str = "hubert.onnx"
    network: str = "lmdm"
    character: str = "character"
    cfg_scale: Guidance = 2.0

    @property
    def motion_part(self) -> str:
        """Name of the part that makes the motion."""
        return self.network

    def __post_init__(self) -> None:
        check_ranges(self)

    def check(
        self, parts: Mapping[str, Any], statistics: MotionStatistics | None
    ) -> None:
        """Raise a CheckpointError unless the driver fits its parts."""
        # Parts first: without them, there are no sizes to compare.
        network = parts.get(self.network)
        if not isinstance(network, LMDMConfig):
            raise CheckpointError(
                f"it names the network {self.network}, which is not among the parts: add it"
            )
        if not isinstance(parts.get(self.character), CharacterConfig):
            raise CheckpointError(
                f"it names the character {self.character}, which is not among the parts: add it"
            )
        if network.motion_width != BINNED_WIDTH:
            raise CheckpointError(
                f"its network makes {network.motion_width} values a frame: it must make {BINNED_WIDTH}"
            )
        if network.condition_width <= TAIL_WIDTH:
            raise CheckpointError(
                f"its network reads {network.condition_width} values a frame, and {TAIL_WIDTH} of them are no sound: "
                "it must read more"
            )
