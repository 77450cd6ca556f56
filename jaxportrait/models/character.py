"""The character of a checkpoint of Ditto: the face whose motion its network makes, and
the limits of that motion. It computes nothing.

Source: Ditto, `ch_info`, `emo`, `delta_eye_arr` and `v_min_max_for_clip` of its options.
"""

from dataclasses import dataclass
from typing import Annotated, Self

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxportrait.motion.binned import BINNED_WIDTH
from jaxportrait.motion.space import EXPRESSION
from jaxportrait.ranges import Range, check_ranges

Length = Annotated[int, Range(1, 1_000_000)]


@dataclass(frozen=True)
class CharacterConfig:
    """Lengths of a character's arrays.

    Attributes:
      face_frames: frames of its eyes.
      emotion_frames: frames of its emotion.
      blink_frames: frames of a blink.
    """

    face_frames: Length = 1
    emotion_frames: Length = 1
    blink_frames: Length = 15

    def __post_init__(self) -> None:
        check_ranges(self)

    @classmethod
    def tiny(cls) -> Self:
        return cls(2, 1, 3)


class Character(nnx.Module):
    """The arrays of a character, which conversion fills."""

    def __init__(
        self,
        config: CharacterConfig,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        def array(*shape: int) -> nnx.Param:
            return nnx.Param(jnp.zeros(shape))

        self.config = config
        # The face: openness of two eyes, their irises, and canonical keypoints.
        self.openness = array(config.face_frames, 2)
        self.eyeballs = array(config.face_frames, 6)
        self.keypoints = array(EXPRESSION.stop)
        self.emotions = array(config.emotion_frames, 8)
        # Its first frame of motion, and the size of its head.
        self.reference = array(BINNED_WIDTH)
        self.scale = array(1)
        # Offsets of the expression in a blink; least and largest values of motion.
        self.blink = array(config.blink_frames, EXPRESSION.stop)
        self.limits = array(2, BINNED_WIDTH)
