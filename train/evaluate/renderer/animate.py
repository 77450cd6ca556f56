"""The renderer in its inference form: pictures, already cropped to faces, moved by the
motion of others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import UInt8

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_FPS, MOTION_SPACES
from jaxportrait.pipeline.encode import encode_source
from jaxportrait.pipeline.render import render
from jaxportrait.pipeline.retarget import ClipArrays, compose
from jaxportrait.types import Source
from train.prepare.motion.extract import read_motion
from train.renderer.config import PARTS

BATCH = 4
"""Pictures at once; one program serves any number of them."""

Pictures = Sequence[UInt8[np.ndarray, "s s 3"]]


@dataclass(frozen=True)
class LoadedRenderer:
    """F, M, W and G of a checkpoint, by name."""

    networks: dict[str, Any]

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Self:
        """Raises a CheckpointError if one of them is missing."""
        checkpoint.require(PARTS)
        return cls({part: checkpoint.network(part) for part in PARTS})

    def encode(self, picture: UInt8[np.ndarray, "s s 3"]) -> Source:
        """A picture of the size that F and M read, as a source."""
        return encode_source(
            *(self.networks[part] for part in ("appearance", "motion", "warping")),
            picture[None],
        )

    def motion(self, pictures: Pictures) -> MotionClip:
        """What M reads of pictures of its size."""
        values = read_motion(self.networks["motion"], pictures, BATCH)
        return MotionClip.from_values(values, MOTION_SPACES["face"], MOTION_FPS)

    def follow(
        self, source: Source, motion: MotionClip
    ) -> UInt8[np.ndarray, "n S S 3"]:
        """The source's face with the motion of frames of its own clip: pose and
        expression become theirs."""
        return self.move(source, motion, None)

    def move(
        self, source: Source, motion: MotionClip, rest: MotionClip | None
    ) -> UInt8[np.ndarray, "n S S 3"]:
        """The source's face, moved as inference moves it: by `motion` since `rest`."""
        made = []
        for start in range(0, len(motion), BATCH):
            part = motion[start : start + BATCH]
            keypoints = compose(
                source,
                ClipArrays.of_clip(part.pad(BATCH)),
                rest and ClipArrays.of_clip(rest),
            )
            pictures = render(
                self.networks["warping"], self.networks["generator"], source, keypoints
            )
            made.append(np.asarray(pictures)[: len(part)])
        return np.concatenate(made)
