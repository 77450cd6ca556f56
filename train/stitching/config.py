"""Options of stitching training: S and R learn, while F, M, W and G stay as a checkpoint
has them.

Source: Guo et al., "LivePortrait", 2024, stage II, whose code is not published. The
networks, their inputs, pairs across identities and the quantities that each loss
compares are the paper's. The paper does not say how shoulders, eyes and lips are found
in a picture, how openness is measured in a made picture, or what the losses weigh. Here
landmarks give the places and M's guided keypoints the openness, and the weights are
this project's. Offsets begin at zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes

from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.ranges import Positive, Range, check_ranges
from train.engine.config import (
    ConfigError,
    LoopConfig,
    LossWeight,
    OptimizerConfig,
    StageConfig,
)

STITCHING, EYES, LIPS = "stitching", "eye_retargeting", "lip_retargeting"
OPENINGS = {EYES: 2, LIPS: 1}
"""Number of openings of each retargeting network."""
Sources = Annotated[int, Range(2, 4096)]
"""A batch size. A source is driven by another row, so that there are two at least."""


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss.

    Attributes:
      shoulders: mean absolute difference of the stitched picture from the
        self-reconstruction, over the shoulders.
      surroundings: the same of a retargeted picture, around its eyes or lips.
      openness: mean absolute difference of the openness that M reads from a retargeted
        picture from the target.
      offsets: mean absolute size of a network's offsets.
    """

    shoulders: LossWeight = 10.0
    surroundings: LossWeight = 10.0
    openness: LossWeight = 1.0
    offsets: LossWeight = 1.0

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class OrganConfig:
    """The eyes or the lips, by landmarks of the data set; openness is a height in
    widths.

    Attributes:
      openings: landmarks of each eye, or of the mouth: middle above, middle below and
        both corners; none leaves the network out.
      widest: targets of the openness are from 0 to this.
      radius: radius in widths; pixels that lie farther from an opening's middle are to
        stay as they are.
    """

    openings: tuple[tuple[int, int, int, int], ...]
    widest: Positive
    radius: Positive

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class StitchingTrainConfig(StageConfig):
    """Options of training the stitching and retargeting networks, on frames that faces
    of other clips drive.

    Attributes:
      jaw: landmarks, below the lowest of which a source's shoulders lie.
      band: share of the picture's height, from below, that the shoulders are where no
        jaw is known.
      guided: pairs of a keypoint and the landmark that it lies on, as the renderer was
        trained.
      eyes: landmarks and ranges of the eyes.
      lips: landmarks and ranges of the lips.
      losses: weights of the losses.
    """

    batch_size: Sources = 16
    jaw: tuple[int, ...] = ()
    band: Annotated[float, Range(above=0, below=1)] = 0.2
    guided: tuple[tuple[int, int], ...] = ()
    eyes: OrganConfig = field(default_factory=lambda: OrganConfig((), 0.8, 1.0))
    lips: OrganConfig = field(default_factory=lambda: OrganConfig((), 0.8, 1.0))
    losses: LossWeights = field(default_factory=LossWeights)
    optimizer: OmitArgPrefixes[OptimizerConfig] = field(
        default_factory=lambda: OptimizerConfig(
            learning_rate=2e-4, drop_steps=(), beta2=0.999, weight_decay=0.0
        )
    )
    loop: OmitArgPrefixes[LoopConfig] = field(
        default_factory=lambda: LoopConfig(steps=20_000)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for part, organ in self.organs.items():
            self._check(part, organ)

    @property
    def networks(self) -> tuple[str, ...]:
        return (STITCHING, *self.organs)

    @property
    def organs(self) -> dict[str, OrganConfig]:
        """Part -> organ, of the retargeting networks that are trained."""
        organs = {EYES: self.eyes, LIPS: self.lips}
        return {part: organ for part, organ in organs.items() if organ.openings}

    @property
    def landmarks(self) -> tuple[int, ...]:
        """Every landmark that is named."""
        # Jaw, guided keypoints, and the corners of eyes and lips.
        landmarks = [*self.jaw]
        landmarks += [landmark for _, landmark in self.guided]
        for organ in self.organs.values():
            for opening in organ.openings:
                landmarks += opening
        return tuple(landmarks)

    def sizes(self, keypoints: int) -> dict[str, StitchingConfig]:
        """Return part -> size of the networks that are trained, which is as
        published."""
        # Sizes depend only on the number of keypoints.
        sizes = {STITCHING: StitchingConfig.stitching(keypoints)}
        if self.eyes.openings:
            sizes[EYES] = StitchingConfig.eyes(keypoints)
        if self.lips.openings:
            sizes[LIPS] = StitchingConfig.lips(keypoints)
        return sizes

    def keypoint(self, landmark: int) -> int:
        """Return the keypoint that lies on a landmark."""
        return next(keypoint for keypoint, guide in self.guided if guide == landmark)

    def _check(self, part: str, organ: OrganConfig) -> None:
        """Raise a ConfigError unless a network's landmarks and ranges can be used."""
        count = OPENINGS[part]
        lengths = {len(opening) for opening in organ.openings}
        if len(organ.openings) != count or lengths != {4}:
            raise ConfigError(
                f"openings of {part} are {organ.openings}: pass {count}, each of four landmarks: "
                "middle above, middle below and the corners"
            )
        # The height of an opening is read between its middles.
        guides = [landmark for _, landmark in self.guided]
        middles = [mark for opening in organ.openings for mark in opening[:2]]
        unguided = [landmark for landmark in middles if landmark not in guides]
        if unguided:
            raise ConfigError(
                f"{part} opens at landmark {unguided[0]}, on which guided puts no keypoint: M reads "
                "the openness of a made picture only by guided keypoints; train the renderer with "
                "this landmark guided, or leave the openings out"
            )


@dataclass(frozen=True)
class StepConfig:
    """Static inputs of an update.

    Attributes:
      training: options of the run.
      renderer: part -> sizes of F, M, W and G.
      image_size: side of the pictures that F and M read.
    """

    training: StitchingTrainConfig
    renderer: Mapping[str, Any]
    image_size: int

    @property
    def sizes(self) -> dict[str, StitchingConfig]:
        """Part -> size of the networks that are trained."""
        return self.training.sizes(self.renderer["motion"].keypoints)
