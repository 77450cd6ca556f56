"""Options of renderer training; the defaults are LivePortrait's sizes and the losses'
published weights.

Source: Guo et al., "LivePortrait", 2024, stage I; Wang et al., "One-shot free-view
neural talking-head synthesis", 2021.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from tyro.conf import OmitArgPrefixes

from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.parts import RENDERER
from jaxportrait.models.warping import WarpingConfig
from jaxportrait.ranges import BatchSize, Blocks, Count, Share, Width, check_ranges
from train.data.frames import FrameSize
from train.engine.config import (
    CHANGED_ON_REQUEST,
    ConfigError,
    LoopConfig,
    LossWeight,
    OptimizerConfig,
    StageConfig,
)

DISCRIMINATOR = "discriminator"
Remat = Literal["none", "blocks", "networks"]


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss; a costly loss is not computed where its weight is 0.

    Attributes:
      reconstruction: mean absolute error of the picture, over scales.
      focus: extra weight of `focused` landmarks, and of the pixels at them, where
        landmarks are known.
      perceptual: difference of the pictures' feature maps, over scales, by the VGG
        that `--perceptual` names.
      adversarial: score of the patch discriminator.
      feature_matching: difference of its feature maps of the made picture and the true
        one.
      equivariance: keypoints of a warped picture are the warped keypoints.
      spread: keypoints keep a distance from each other.
      depth: keypoints lie around depth 0.
      expression: expressions are small, so that lasting shape goes into the canonical
        keypoints.
      pose: mean absolute error in degrees, where the pose is known.
      landmarks: guided keypoints lie on their landmarks, where these are known.
      gaps: guided keypoints keep the gaps of their landmarks, for the pairs that `gaps`
        names.
      correspondence: the deformation takes each landmark from its place in the source,
        where these are known.
    """

    reconstruction: LossWeight = 10.0
    focus: LossWeight = 0.0
    perceptual: LossWeight = 0.0
    adversarial: LossWeight = 1.0
    feature_matching: LossWeight = 10.0
    equivariance: LossWeight = 20.0
    spread: LossWeight = 10.0
    depth: LossWeight = 1.0
    expression: LossWeight = 5.0
    pose: LossWeight = 1.0
    landmarks: LossWeight = 10.0
    gaps: LossWeight = 0.0
    correspondence: LossWeight = 0.0

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """A patch discriminator: convolutions, each followed by a mean pool, and a map of
    scores.

    Attributes:
      channels: channels of its first map; doubled by every layer, to `max_channels` at
        most.
      max_channels: upper bound of the channels.
      layers: number of layers; each halves height and width.
    """

    channels: Width = 32
    max_channels: Width = 256
    layers: Blocks = 4

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class RendererConfig(StageConfig):
    """Options of training F, M, W and G together, on pairs of frames of one clip.

    Attributes:
      image_size: side of the square picture that F and M read.
      scales: pictures of the reconstruction, each half as fine as the one before.
      accumulation: parts into which a batch is cut, one after the other, to save
        memory; batch norms take their statistics from each part.
      remat: values that the backward pass computes again, to save memory: none, those
        inside the blocks of networks, or all inside networks.
      color_jitter: standard deviation of each colour's gain (natural logarithm), the
        same for both frames of a pair.
      mirror: share of the pairs that are mirrored left to right, both frames together.
      mirrors: pairs of landmarks that are each other's mirror; a landmark on the middle
        line is its own.
      guided: pairs of a keypoint and the landmark of the data set that it lies on.
      gaps: pairs of guided keypoints, such as both lips, whose distance is a loss of
        its own.
      contrast: share of the pairs that are drawn by how much a gap differs between
        their frames, where landmarks are known; the others are any two frames of a
        clip.
      focused: landmarks at which pixels count more.
      folds: pairs of landmarks that meet when lids or lips shut; the correspondence
        asks for each on its own side.
      appearance: sizes of F.
      motion: sizes of M.
      warping: sizes of W.
      generator: sizes of G.
      discriminator: sizes of the discriminator.
      losses: weights of the losses.
    """

    # Pictures.
    image_size: FrameSize = 256
    batch_size: BatchSize = 32
    scales: Count = 4
    color_jitter: Share = 0.1
    mirror: Share = 0.0
    # Memory.
    accumulation: Count = 1
    remat: Remat = field(default="blocks", metadata=CHANGED_ON_REQUEST)
    # Landmarks.
    mirrors: tuple[tuple[int, int], ...] = ()
    guided: tuple[tuple[int, int], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    contrast: Share = 0.0
    focused: tuple[int, ...] = ()
    folds: tuple[tuple[int, int], ...] = ()
    # Networks.
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig.full)
    motion: MotionConfig = field(default_factory=MotionConfig.full)
    warping: WarpingConfig = field(default_factory=WarpingConfig.full)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig.full)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    optimizer: OmitArgPrefixes[OptimizerConfig] = field(
        # GANs are trained with little momentum.
        default_factory=lambda: OptimizerConfig(
            learning_rate=2e-4,
            drop_steps=(),
            beta1=0.5,
            beta2=0.999,
            weight_decay=0.0,
            clip_apart=(DISCRIMINATOR,),
        )
    )
    loop: OmitArgPrefixes[LoopConfig] = field(
        default_factory=lambda: LoopConfig(steps=200_000)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_sizes()
        self._check_networks()
        self._check_landmarks()
        self._check_mirrors()
        if not (self.draws_pictures or self.warps_source or self.guided):
            raise ConfigError(
                "neither a loss on pictures nor on landmarks: there is nothing to learn from"
            )

    def _check_sizes(self) -> None:
        """Raise a ConfigError unless pictures can be halved as often as networks and
        losses halve them, and batches cut into equal parts."""
        if self.batch_size % self.accumulation:
            raise ConfigError(
                f"batch_size {self.batch_size} cannot be cut into {self.accumulation} equal "
                "parts: choose an accumulation that divides it"
            )
        halvings = self.appearance.down_blocks + self.warping.hourglass_blocks
        if self.image_size % 2**halvings:
            raise ConfigError(
                f"image_size is {self.image_size}: appearance.down_blocks and "
                f"warping.hourglass_blocks halve it {halvings} times, so choose a multiple of "
                f"{2**halvings}"
            )
        size = self.output_size
        # The lowest bit that is set is the power of two that divides the size.
        scales = (size & -size).bit_length()
        if self.scales > scales:
            raise ConfigError(
                f"scales is {self.scales}: each after the first halves the generator's {size} "
                f"pixels, so choose from 1 to {scales}"
            )

    def _check_networks(self) -> None:
        """Raise a ConfigError unless the networks fit each other and the optimizer."""
        volume = (self.appearance.volume_channels, self.appearance.volume_depth)
        expected = (self.warping.volume_channels, self.warping.volume_depth)
        if volume != expected:
            raise ConfigError(
                f"appearance makes volumes of {volume} channels and planes, and warping reads "
                f"{expected}: choose the same"
            )
        if self.warping.features != self.generator.features:
            raise ConfigError(
                f"warping makes {self.warping.features} features and the generator reads "
                f"{self.generator.features}: choose the same"
            )

    def _check_landmarks(self) -> None:
        """Raise a ConfigError unless losses and pairs have the landmarks that they
        need."""
        losses = self.losses
        if losses.focus and not self.focused:
            raise ConfigError(
                f"losses.focus is {losses.focus}, on focused landmarks, and focused names none"
            )
        if losses.gaps and not self.gaps:
            raise ConfigError(
                f"losses.gaps is {losses.gaps}, between pairs of keypoints, and gaps names none"
            )
        if self.contrast and not self.gaps:
            raise ConfigError(
                f"contrast is {self.contrast}, by how gaps differ, and gaps names none"
            )
        # Both ends of a gap are guided keypoints.
        guided = [keypoint for keypoint, _ in self.guided]
        ends = [keypoint for gap in self.gaps for keypoint in gap]
        unguided = [keypoint for keypoint in ends if keypoint not in guided]
        if unguided:
            raise ConfigError(
                f"gaps names keypoint {unguided[0]}, which guided does not: add it there"
            )
        count = self.motion.keypoints
        unknown = [keypoint for keypoint in guided if not 0 <= keypoint < count]
        if unknown:
            raise ConfigError(
                f"guided names keypoint {unknown[0]}, and there are {count}: leave it out"
            )

    def _check_mirrors(self) -> None:
        """Raise a ConfigError unless every landmark has one mirror, and those that
        losses name have one where pictures are mirrored."""
        partners: dict[int, int] = {}
        for one, other in self.mirrors:
            for landmark, partner in {(one, other), (other, one)}:
                if landmark in partners:
                    raise ConfigError(
                        f"mirrors names landmark {landmark} twice: name each pair once"
                    )
                partners[landmark] = partner
        if not self.mirror:
            return
        if self.losses.correspondence and not self.mirrors:
            raise ConfigError(
                f"mirror is {self.mirror}, and losses.correspondence reads landmarks whose mirrors "
                "are unknown: name them in mirrors"
            )
        guided = [landmark for _, landmark in self.guided]
        folds = [landmark for fold in self.folds for landmark in fold]
        for landmark in (*guided, *self.focused, *folds):
            if landmark not in partners:
                raise ConfigError(
                    f"mirror is {self.mirror}, and the mirror of landmark {landmark}, which losses "
                    "read, is unknown: name the pair in mirrors"
                )

    @property
    def networks(self) -> tuple[str, ...]:
        return (*RENDERER, DISCRIMINATOR)

    @property
    def microbatches(self) -> int:
        return self.accumulation

    @property
    def guided_gaps(self) -> tuple[tuple[int, int], ...]:
        """The gaps by the landmarks that their keypoints lie on."""
        landmark = dict(self.guided)
        return tuple((landmark[one], landmark[other]) for one, other in self.gaps)

    @property
    def has_discriminator(self) -> bool:
        """True if a discriminator scores pictures."""
        return bool(self.losses.adversarial or self.losses.feature_matching)

    @property
    def draws_pictures(self) -> bool:
        """True if pictures are made; without a loss on them, F, M and W learn from
        landmarks and poses."""
        losses = self.losses
        on_pictures = losses.reconstruction or losses.perceptual
        return bool(on_pictures or self.has_discriminator)

    @property
    def warps_source(self) -> bool:
        """True if the source is warped; otherwise only M learns, from landmarks and
        poses."""
        return self.draws_pictures or bool(self.losses.correspondence)

    @property
    def output_size(self) -> int:
        """Side of the picture that G makes."""
        # G upsamples twice by two, and by `upscale` at its end.
        warped = self.image_size // 2**self.appearance.down_blocks
        return warped * 4 * self.generator.upscale

    @property
    def target_size(self) -> int:
        """Side of the pictures that are shown, and compared where any are made."""
        return self.output_size if self.draws_pictures else self.image_size

    @property
    def sizes(self) -> dict[str, Any]:
        """The configs of F, M, W and G."""
        return {part: getattr(self, part) for part in RENDERER}
