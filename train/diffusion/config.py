"""Options of training a denoiser of motion.

The defaults are the published recipe, but for positions that tell frames apart.
"""

from dataclasses import dataclass, field
from typing import Literal

from tyro.conf import OmitArgPrefixes

from jaxportrait.models.motion_diffusion import (
    DiffusionSteps,
    EarlierLength,
    MotionDiffusionConfig,
    Positions,
    WindowLength,
)
from jaxportrait.motion.space import MOTION_SPACES
from jaxportrait.ranges import (
    BatchSize,
    Blocks,
    Count,
    Decay,
    Heads,
    Share,
    Width,
    check_ranges,
)
from train.data.augment import SoundAugmentation
from train.engine.config import (
    CHANGED_ON_REQUEST,
    ConfigError,
    LoraConfig,
    LossWeight,
    OptimizerConfig,
    StageConfig,
    check_adapters,
)

DENOISER, ENCODER = "motion_diffusion", "hubert"
Encoder = Literal["stored", "frozen", "trained"]
SPACE = "face"
"""Motion space of a new denoiser."""
BLOCK_DROPOUT = 0.1
"""HuBERT's layerdrop."""


@dataclass(frozen=True)
class DenoiserSize:
    """Size of the denoiser; the rest follows from the data set and the encoder.

    Attributes:
      width: width of the tokens.
      heads: attention heads.
      blocks: blocks of the transformer.
      frames: frames of a window, 25 a second.
      earlier_frames: frames of earlier motion that a window continues.
      diffusion_steps: steps of the diffusion.
      positions: `sequence` tells frames apart; `constant` does not, as the published
        weights.
    """

    width: Width = 256
    heads: Heads = 8
    blocks: Blocks = 8
    frames: WindowLength = 100
    earlier_frames: EarlierLength = 10
    diffusion_steps: DiffusionSteps = 50
    positions: Positions = "sequence"

    def __post_init__(self) -> None:
        check_ranges(self)
        # The sizes of a network say themselves what cannot be.
        self.config(1)
        if 2 * self.earlier_frames > self.frames:
            raise ConfigError(
                f"earlier_frames is {self.earlier_frames}: choose at most half of the {self.frames} frames of a window"
            )

    def config(self, audio_width: int) -> MotionDiffusionConfig:
        """Return the config of a denoiser of this size."""
        return MotionDiffusionConfig(
            MOTION_SPACES[SPACE].width,
            audio_width,
            self.width,
            self.heads,
            self.blocks,
            self.frames,
            2 * self.frames,
            self.earlier_frames,
            self.diffusion_steps,
            self.positions,
        )


@dataclass(frozen=True)
class DiffusionLosses:
    """Factors of the losses beside the error of the clean motion.

    Attributes:
      expression: error of the expression.
      expression_velocity: error of its change from frame to frame.
      expression_smooth: change of that change.
      head: error of pose, translation and scale.
      head_velocity: error of their change from frame to frame.
      head_smooth: change of that change.
      head_transition: the same where a window meets the one before.
      as_published: count the losses of the expression as the published code does, in
        whose sum they replace each other: those of a clip's second half 1.5 times, those
        of the first half not at all.
    """

    expression: LossWeight = 0.1
    expression_velocity: LossWeight = 1e-4
    expression_smooth: LossWeight = 1e-4
    head: LossWeight = 0.01
    head_velocity: LossWeight = 0.01
    head_smooth: LossWeight = 0.01
    head_transition: LossWeight = 0.01
    as_published: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class DiffusionConfig(StageConfig):
    """Options of training a denoiser.

    Attributes:
      accumulation: parts into which a batch is cut, one after the other, to save
        memory.
      condition_dropout: probability with which a window's audio is replaced by the
        learned vector.
      truncation: probability with which the first and the second window of a clip end
        early, in silence.
      dropout: share of values and weights of attention that are left out in networks
        that learn.
      augmented: share of the pairs whose sound is heard in another room, with noise, or at
        another level; for encoders that run within the step.
      augmentation: ranges from which these are drawn.
      block_dropout: share of the encoder's blocks that are left out, where it learns.
      encoder: `stored` reads the data set's features; `frozen` encodes its sound by the
        checkpoint's HuBERT, and `trained` trains that too, but for its convolutions.
      denoiser: size of the denoiser.
      losses: factors of the losses.
      lora: adapters that are trained in place of the weights.
    """

    batch_size: BatchSize = 16
    accumulation: Count = field(default=1, metadata=CHANGED_ON_REQUEST)
    condition_dropout: Decay = 0.1
    truncation: tuple[Share, Share] = (0.3, 0.4)
    dropout: Decay = 0.1
    block_dropout: Decay = BLOCK_DROPOUT
    encoder: Encoder = "stored"
    augmented: Share = 0.0
    augmentation: SoundAugmentation = field(default_factory=SoundAugmentation)
    denoiser: DenoiserSize = field(default_factory=DenoiserSize)
    losses: DiffusionLosses = field(default_factory=DiffusionLosses)
    lora: LoraConfig = field(default_factory=LoraConfig)
    optimizer: OmitArgPrefixes[OptimizerConfig] = field(
        default_factory=lambda: OptimizerConfig(
            warmup_steps=0, drop_steps=(), beta2=0.999, weight_decay=0.0, clip_norm=2.0
        )
    )

    @property
    def networks(self) -> tuple[str, ...]:
        trained = self.encoder == "trained"
        return (DENOISER, ENCODER) if trained else (DENOISER,)

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
        if self.encoder != "trained" and self.block_dropout != BLOCK_DROPOUT:
            raise ConfigError(
                f"block_dropout is {self.block_dropout:g}, and belongs to an encoder that learns: leave it out, or "
                "choose the encoder `trained`"
            )
        if self.augmented and self.encoder == "stored":
            raise ConfigError(
                f"augmented is {self.augmented:g}, and stored features have no sound: choose the encoder `frozen` or "
                "`trained`, or store features of augmented sound when the videos are processed"
            )
        if self.augmentation != SoundAugmentation() and not self.augmented:
            raise ConfigError(
                "augmentation has ranges, and augmented is 0: choose a share, or leave the ranges out"
            )
        # Their gradients are 0, and decay would still shrink them.
        if self.encoder == "trained" and self.optimizer.weight_decay:
            raise ConfigError(
                f"weight_decay is {self.optimizer.weight_decay:g}, and would shrink the encoder's convolutions, "
                "which do not learn: choose 0"
            )
