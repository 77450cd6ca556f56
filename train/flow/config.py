"""Options of flow-matching training.

The defaults are the published recipe: MEAD, 30k updates of 64 windows
(Hekenye/LivePortrait_AudioDriven).
"""

from dataclasses import dataclass, field
from typing import Literal

from tyro.conf import OmitArgPrefixes

from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import MOTION_SPACES
from jaxportrait.ranges import Blocks, Count, Decay, Heads, Width, check_ranges
from train.engine.config import (
    CHANGED_ON_REQUEST,
    ConfigError,
    LoraConfig,
    LossWeight,
    StageConfig,
    check_adapters,
)

EMOTION_DROPOUT = 0.1
"""Share of windows without emotion: enough for guidance, as for the sound."""


@dataclass(frozen=True)
class TransformerSize:
    """Size of the flow transformer; the rest follows from the motion space and the data
    set.

    Attributes:
      width: width of the tokens.
      heads: attention heads.
      joint_blocks: blocks in which motion and audio attend to each other.
      fused_blocks: blocks on motion only.
    """

    width: Width = 896
    heads: Heads = 14
    joint_blocks: Blocks = 4
    fused_blocks: Blocks = 8

    # Rotary embeddings turn pairs of a head's values.
    def __post_init__(self) -> None:
        check_ranges(self)
        if self.width % (2 * self.heads):
            raise ConfigError(
                f"width {self.width} gives {self.heads} heads no even width: choose a width that is a "
                "multiple of twice the heads"
            )

    def config(
        self, motion_space: str, audio_width: int, emotions: int = 0
    ) -> FlowTransformerConfig:
        """Return the config of a transformer of this size.

        Args:
          motion_space: name of the motion space.
          audio_width: number of values of an audio feature.
          emotions: number of emotions that it knows.
        """
        # Lengths of motion and audio are those of the published transformer.
        return FlowTransformerConfig(
            MOTION_SPACES[motion_space].width,
            audio_width,
            self.width,
            self.heads,
            self.joint_blocks,
            self.fused_blocks,
            emotions=emotions,
        )


@dataclass(frozen=True)
class FlowLosses:
    """Factors of the losses beside the error of all values.

    Attributes:
      expression: error of the expression.
      expression_velocity: error of its change from frame to frame.
      lips: error of the lips' expression.
      lips_velocity: error of its change from frame to frame.
      head: error of pose, translation and scale.
      head_velocity: error of their change from frame to frame.
    """

    expression: LossWeight = 0.0
    expression_velocity: LossWeight = 0.0
    lips: LossWeight = 0.0
    lips_velocity: LossWeight = 0.0
    head: LossWeight = 0.0
    head_velocity: LossWeight = 0.0

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class FlowConfig(StageConfig):
    """Options of training a flow transformer.

    Attributes:
      motion_space: values that the transformer makes; the data set's by default.
      accumulation: parts into which a batch is cut, one after the other, to save
        memory.
      condition_dropout: probability with which a window's audio is replaced by the
        learned vector.
      emotions: emotions of the clips' labels that are a condition of the motion; clips of
        others count as clips without a label.
      emotion_dropout: probability with which a window's emotion is left out.
      transformer: size of the transformer.
      losses: factors of the losses.
      lora: adapters that are trained in place of the weights.
    """

    motion_space: Literal["lip", "face"] | None = None
    accumulation: Count = field(default=4, metadata=CHANGED_ON_REQUEST)
    condition_dropout: Decay = 0.1
    emotions: tuple[str, ...] = ()
    emotion_dropout: Decay = EMOTION_DROPOUT
    transformer: OmitArgPrefixes[TransformerSize] = field(
        default_factory=TransformerSize
    )
    losses: FlowLosses = field(default_factory=FlowLosses)
    lora: LoraConfig = field(default_factory=LoraConfig)

    # Read by the engine, which knows it under one name for all stages.
    @property
    def microbatches(self) -> int:
        """Number of equal parts of a batch that are computed one after the other."""
        return self.accumulation

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % self.accumulation:
            raise ConfigError(
                f"batch_size {self.batch_size} cannot be cut into {self.accumulation} equal "
                "parts: choose an accumulation that divides it"
            )
        check_adapters(self.lora, self.optimizer)
        if len(set(self.emotions)) < len(self.emotions):
            raise ConfigError(
                f"emotions are {', '.join(self.emotions)}: name each only once"
            )
        if not self.emotions and self.emotion_dropout != EMOTION_DROPOUT:
            raise ConfigError(
                f"emotion_dropout is {self.emotion_dropout:g}, and there are no emotions: name them, or leave it out"
            )
