"""What a run of stitching training is: S and R, while F, M, W and G stay as a
checkpoint has them.

Source: Guo et al., "LivePortrait", 2024, stage II, whose code is not published. As the
paper has it: the networks, what they read, pairs across identities, and what each loss
compares. The paper does not say how shoulders, eyes and lips are found in a picture,
how it is seen how far they are open in a made one, or what the losses weigh. Here
landmarks tell the places, M's guided keypoints the openness, and the weights are this
project's own. Offsets begin at zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from jaxportrait.models.stitching import StitchingConfig
from train.engine.config import (
    NO_PREFIX,
    ConfigError,
    LoopConfig,
    OptimizerConfig,
    StageConfig,
)

STITCHING, EYES, LIPS = "stitching", "eye_retargeting", "lip_retargeting"
OPENINGS = {EYES: 2, LIPS: 1}
"""Of each retargeting network."""


@dataclass(frozen=True)
class LossWeights:
    """What each loss counts.

    Attributes:
      shoulders: mean absolute difference of the stitched picture from the
        self-reconstruction, over the shoulders.
      surroundings: the same of a retargeted picture, around its eyes or lips.
      openness: mean absolute difference of the openness that M sees in a retargeted
        picture from the wanted one.
      offsets: mean absolute size of a network's offsets.
    """

    shoulders: float = 10.0
    surroundings: float = 10.0
    openness: float = 1.0
    offsets: float = 1.0


@dataclass(frozen=True)
class OrganConfig:
    """The eyes or the lips, by landmarks of the data set; the openness is a height in
    widths.

    Attributes:
      openings: of each eye, or of the mouth, the landmarks of middle above, middle
        below and both corners; none leaves the network out.
      widest: openness is wanted from 0 to this.
      radius: in widths; what lies farther from an opening's middle is to stay as it is.
    """

    openings: tuple[tuple[int, int, int, int], ...]
    widest: float
    radius: float


@dataclass(frozen=True)
class StitchingTrainConfig(StageConfig):
    """Training of the stitching and retargeting networks, on frames that faces of other
    clips drive.

    Attributes:
      jaw: landmarks, below the lowest of which a source's shoulders lie.
      band: where no jaw is known, the shoulders are so much of the picture's height,
        from below.
      guided: pairs of a keypoint and the landmark that it lies on, as the renderer was
        trained.
    """

    batch_size: int = 16
    jaw: tuple[int, ...] = ()
    band: float = 0.2
    guided: tuple[tuple[int, int], ...] = ()
    eyes: OrganConfig = field(default_factory=lambda: OrganConfig((), 0.8, 1.0))
    lips: OrganConfig = field(default_factory=lambda: OrganConfig((), 0.8, 1.0))
    losses: LossWeights = field(default_factory=LossWeights)
    optimizer: Annotated[OptimizerConfig, NO_PREFIX] = field(
        default_factory=lambda: OptimizerConfig(
            learning_rate=2e-4, drop_steps=(), beta2=0.999, weight_decay=0.0
        )
    )
    loop: Annotated[LoopConfig, NO_PREFIX] = field(
        default_factory=lambda: LoopConfig(steps=20_000)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 2:
            raise ConfigError(
                f"batch_size is {self.batch_size}: a source is driven by the face of the row before it, so take 2 or "
                "more"
            )
        if not 0 < self.band < 1:
            raise ConfigError(
                f"band is {self.band}: take a part of the picture's height, between 0 and 1"
            )
        for part, organ in self.organs.items():
            self._check(part, organ)

    @property
    def organs(self) -> dict[str, OrganConfig]:
        """Part -> what it opens and shuts, of the retargeting networks that are
        trained."""
        return {
            part: organ
            for part, organ in ((EYES, self.eyes), (LIPS, self.lips))
            if organ.openings
        }

    @property
    def landmarks(self) -> tuple[int, ...]:
        """Every landmark that is named."""
        corners = [
            landmark
            for organ in self.organs.values()
            for opening in organ.openings
            for landmark in opening
        ]
        return (*self.jaw, *(landmark for _, landmark in self.guided), *corners)

    def sizes(self, keypoints: int) -> dict[str, StitchingConfig]:
        """Part -> size of the networks that are trained, which is as published."""
        every = {
            EYES: StitchingConfig.eyes(keypoints),
            LIPS: StitchingConfig.lips(keypoints),
        }
        return {STITCHING: StitchingConfig.stitching(keypoints)} | {
            part: every[part] for part in self.organs
        }

    def keypoint(self, landmark: int) -> int:
        """The keypoint that lies on a landmark."""
        return next(keypoint for keypoint, guide in self.guided if guide == landmark)

    def _check(self, part: str, organ: OrganConfig) -> None:
        if len(organ.openings) != OPENINGS[part] or any(
            len(opening) != 4 for opening in organ.openings
        ):
            raise ConfigError(
                f"openings of {part} are {organ.openings}: give {OPENINGS[part]}, each of four landmarks: middle "
                "above, middle below and the corners"
            )
        if organ.widest <= 0 or organ.radius <= 0:
            raise ConfigError(
                f"widest and radius of {part} are {organ.widest} and {organ.radius}: take positive ones"
            )
        known = [landmark for _, landmark in self.guided]
        unseen = [
            landmark
            for opening in organ.openings
            for landmark in opening[:2]
            if landmark not in known
        ]
        if unseen:
            raise ConfigError(
                f"{part} opens at landmark {unseen[0]}, on which guided puts no keypoint: M can tell the openness of a "
                "made picture by guided keypoints alone; train the renderer with this landmark guided, or leave "
                "the openings out"
            )


@dataclass(frozen=True)
class StepConfig:
    """What is static in an update: the training, and the sizes of the frozen
    networks."""

    training: StitchingTrainConfig
    renderer: Mapping[str, Any]
    image_size: int

    @property
    def sizes(self) -> dict[str, StitchingConfig]:
        return self.training.sizes(self.renderer["motion"].keypoints)
