"""The sizes of every network, as frozen dataclasses; `full()` is the published size,
`tiny()` runs in seconds on a CPU.

They hold no option that does not change an array's shape or meaning, and are what a
checkpoint records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, get_args

KEYPOINTS = 21
LIP_KEYPOINTS = (6, 12, 14, 17, 19, 20)
UPPER_KEYPOINTS = (1, 2, 3, 11, 13, 15, 16, 18)
"""Of eyes and brows: 11, 13, 15, 16 and 18 are LivePortrait's eyes, 1 and 2 its brows;
of the demo's keypoints 1 and 3 are brows, 2 and 18 irises."""
MOTION_FPS = 30
FEATURES_PER_SECOND = 50


@dataclass(frozen=True)
class MotionSpace:
    """Which values of a frame's motion a flow transformer makes.

    Attributes:
      columns: of the 70 values of a frame, in this order: expression (21 keypoints of
        x, y, z), pitch, yaw, roll in degrees, translation, scale.
    """

    columns: tuple[int, ...]

    @property
    def width(self) -> int:
        return len(self.columns)


MOTION_WIDTH = 3 * KEYPOINTS + 3 + 3 + 1
MOTION_SPACES = {
    "lip": MotionSpace(
        tuple(3 * keypoint + axis for keypoint in LIP_KEYPOINTS for axis in range(3))
    ),
    "face": MotionSpace(tuple(range(MOTION_WIDTH))),
}
"""`lip` is the original's: the expression of the lip keypoints. `face` has head motion
and blinks too."""


@dataclass(frozen=True)
class AppearanceConfig:
    """Appearance feature extractor F: picture -> feature volume.

    Attributes:
      base_channels: of the stem; doubled by every down block, to `max_channels` at
        most.
      down_blocks: each halves height and width.
      volume_channels, volume_depth: of the volume; their product is the width of the
        last 2-D map.
      residual_blocks: 3-D, on the volume.
    """

    base_channels: int
    max_channels: int
    down_blocks: int
    volume_channels: int
    volume_depth: int
    residual_blocks: int

    @classmethod
    def full(cls) -> Self:
        return cls(64, 512, 2, 32, 16, 6)

    @classmethod
    def tiny(cls) -> Self:
        return cls(8, 32, 2, 4, 8, 2)


@dataclass(frozen=True)
class MotionConfig:
    """Motion extractor M, a ConvNeXt V2: picture -> keypoints, pose, expression.

    Attributes:
      depths, widths: blocks and channels of its stages.
      keypoints: implicit 3-D keypoints.
      pose_bins: over which each angle is predicted.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    keypoints: int = 21
    pose_bins: int = 66

    @classmethod
    def full(cls) -> Self:
        return cls((3, 3, 9, 3), (96, 192, 384, 768))

    @classmethod
    def tiny(cls) -> Self:
        return cls((1, 1, 2, 1), (8, 16, 24, 32))


@dataclass(frozen=True)
class WarpingConfig:
    """Warping network W: feature volume moved from source to driving keypoints ->
    features for the generator.

    Attributes:
      volume_channels, volume_depth: of the volume.
      features: channels of the output.
      compressed_channels: of the volume that the dense motion network looks at.
      hourglass_channels: its base width; doubled by every block, to
        `hourglass_max_channels` at most.
      hourglass_blocks: down, and as many up.
      mask_kernel: taps an axis of the convolution that makes the masks.
      heat_depth: deviation, along the depth from -1 to 1, of the gaussian by which a
        keypoint is seen. 0.1 suits 16 planes; where there are few, most keypoints fall
        between two of them, and it must be wider.
    """

    keypoints: int
    volume_channels: int
    volume_depth: int
    features: int
    compressed_channels: int
    hourglass_channels: int
    hourglass_max_channels: int
    hourglass_blocks: int
    mask_kernel: int = 7
    heat_depth: float = 0.1

    @property
    def motion_channels(self) -> int:
        """Channels that the hourglass reads: a heat map and a moved volume, background
        and each keypoint."""
        return (self.keypoints + 1) * (self.compressed_channels + 1)

    @property
    def hourglass_outputs(self) -> int:
        """Channels of the hourglass's last map: its base width and the skipped
        input."""
        return self.hourglass_channels + self.motion_channels

    @classmethod
    def full(cls) -> Self:
        return cls(21, 32, 16, 256, 4, 32, 1024, 5)

    @classmethod
    def tiny(cls) -> Self:
        return cls(21, 4, 8, 32, 2, 4, 16, 3)


@dataclass(frozen=True)
class GeneratorConfig:
    """SPADE generator G: features -> image.

    Attributes:
      features: channels of the input; the middle is twice as wide.
      hidden: channels of the maps from which a SPADE norm reads its scale and shift.
      output_channels: before the last convolution.
      upscale: of the last pixel shuffle; 1 leaves it out.
      middle_blocks: of the features' own size, before the two that double it.
    """

    features: int
    hidden: int = 128
    output_channels: int = 64
    upscale: int = 2
    middle_blocks: int = 6

    @classmethod
    def full(cls) -> Self:
        return cls(256)

    @classmethod
    def tiny(cls) -> Self:
        return cls(32, hidden=32, output_channels=16)


@dataclass(frozen=True)
class StitchingConfig:
    """An MLP of the stitching and retargeting modules: keypoints (and ratios) ->
    offsets."""

    inputs: int
    hidden: tuple[int, ...]
    outputs: int

    @classmethod
    def stitching(cls, keypoints: int = 21) -> Self:
        return cls(2 * 3 * keypoints, (128, 128, 64), 3 * keypoints + 2)

    @classmethod
    def lips(cls, keypoints: int = 21) -> Self:
        return cls(3 * keypoints + 2, (128, 128, 64), 3 * keypoints)

    @classmethod
    def eyes(cls, keypoints: int = 21) -> Self:
        return cls(3 * keypoints + 3, (256, 256, 128, 128, 64), 3 * keypoints)


@dataclass(frozen=True)
class WhisperConfig:
    """The encoder of Whisper: log-mel spectrogram -> audio features, half as many as
    its frames.

    Attributes:
      mel_bins: of the spectrogram.
      context: features a block; the block has twice as many frames.
    """

    mel_bins: int
    context: int
    width: int
    heads: int
    layers: int

    @classmethod
    def full(cls) -> Self:
        return cls(80, 1500, 384, 6, 4)

    @classmethod
    def tiny(cls) -> Self:
        return cls(80, 1500, 32, 2, 1)


@dataclass(frozen=True)
class LogMelConfig:
    """The log-mel spectrogram itself as audio features: two frames side by side make
    one; it has no weights.

    Attributes:
      mel_bins: of the spectrogram; a feature is twice as wide.
    """

    mel_bins: int = 80

    def __post_init__(self):
        if self.mel_bins < 1:
            raise ValueError(
                f"a log-mel spectrogram of {self.mel_bins} bins was asked for: take 1 or more, such as 80"
            )

    @property
    def width(self) -> int:
        return 2 * self.mel_bins

    @property
    def context(self) -> int:
        """Features made at once, 2 s; a feature is the same whatever block it is made
        in."""
        return 2 * FEATURES_PER_SECOND


@dataclass(frozen=True)
class FlowTransformerConfig:
    """Flow transformer T: noisy motion, audio features and time -> velocity.

    Attributes:
      motion_width: values a frame of motion.
      audio_width: values an audio feature.
      width: of the tokens.
      joint_blocks: in which motion and audio tokens attend to each other, each with its
        own weights.
      fused_blocks: on the motion tokens alone.
      motion_frames, audio_frames: of one window.
      motion_space: what the values of a frame are: a name of `MOTION_SPACES`.
    """

    motion_width: int
    audio_width: int
    width: int
    heads: int
    joint_blocks: int
    fused_blocks: int
    motion_frames: int = 30
    audio_frames: int = 50
    motion_space: str = "lip"

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def mlp_hidden(self) -> int:
        """Two thirds of four widths, rounded up to a multiple of 256."""
        return 256 * -(-int(2 * 4 * self.width / 3) // 256)

    @classmethod
    def full(cls) -> Self:
        return cls(18, 384, 896, 14, 4, 8)

    @classmethod
    def tiny(cls) -> Self:
        return cls(18, 32, 64, 2, 1, 1)


@dataclass(frozen=True)
class VGGConfig:
    """VGG-19's convolutions, which compare pictures in training: picture -> feature
    maps.

    Attributes:
      widths: channels of its five stages; each but the first begins with half the
        height and width of the one before.
    """

    widths: tuple[int, int, int, int, int]

    @property
    def halvings(self) -> int:
        """How many times a picture is halved on its way to the last map."""
        return len(self.widths) - 1

    @classmethod
    def full(cls) -> Self:
        return cls((64, 128, 256, 512, 512))

    @classmethod
    def tiny(cls) -> Self:
        return cls((4, 8, 8, 16, 16))


@dataclass(frozen=True)
class PortraitConfig:
    """Everything a checkpoint holds; a part that is None is not in it.

    Attributes:
      image_size: side of the square picture that F and M read.
      crop_zoom: how many times tighter a face is cut out than LivePortrait does.
      cfg_scale: of classifier-free guidance, where inference is told none.
      whisper, log_mel: audio encoders, of which it holds at most one.
      perceptual: for training alone, in a checkpoint of its own.
    """

    image_size: int = 256
    appearance: AppearanceConfig | None = None
    motion: MotionConfig | None = None
    warping: WarpingConfig | None = None
    generator: GeneratorConfig | None = None
    stitching: StitchingConfig | None = None
    lip_retargeting: StitchingConfig | None = None
    eye_retargeting: StitchingConfig | None = None
    whisper: WhisperConfig | None = None
    log_mel: LogMelConfig | None = None
    flow_transformer: FlowTransformerConfig | None = None
    crop_zoom: float = 1.0
    cfg_scale: float = 4.5
    perceptual: VGGConfig | None = None

    def __post_init__(self):
        if self.whisper is not None and self.log_mel is not None:
            raise ValueError(
                "whisper and log_mel are both given: a checkpoint holds one audio encoder"
            )
        encoder = self.log_mel or self.whisper
        if encoder is not None and self.flow_transformer is not None:
            heard, read = encoder.width, self.flow_transformer.audio_width
            if heard != read:
                raise ValueError(
                    f"the audio encoder makes features of {heard} values and the flow transformer reads {read}: choose "
                    "the encoder that the transformer was trained with"
                )

    @property
    def audio_encoder(self) -> str:
        """The part that makes audio features: `log_mel` where it is held, `whisper`
        otherwise."""
        return "whisper" if self.log_mel is None else "log_mel"

    @classmethod
    def full(cls) -> Self:
        return cls(
            256,
            AppearanceConfig.full(),
            MotionConfig.full(),
            WarpingConfig.full(),
            GeneratorConfig.full(),
            StitchingConfig.stitching(),
            StitchingConfig.lips(),
            StitchingConfig.eyes(),
            WhisperConfig.full(),
            flow_transformer=FlowTransformerConfig.full(),
        )

    @classmethod
    def tiny(cls) -> Self:
        return cls(
            64,
            AppearanceConfig.tiny(),
            MotionConfig.tiny(),
            WarpingConfig.tiny(),
            GeneratorConfig.tiny(),
            StitchingConfig.stitching(),
            StitchingConfig.lips(),
            StitchingConfig.eyes(),
            WhisperConfig.tiny(),
            flow_transformer=FlowTransformerConfig.tiny(),
        )


def config_from_json(values: Mapping[str, Any]) -> PortraitConfig:
    """A `PortraitConfig` from what `dataclasses.asdict` and JSON made of one."""
    parts = {part.name: part.type for part in fields(PortraitConfig)}
    built = {
        name: get_args(parts[name])[0](**_tuples(value))
        if isinstance(value, Mapping)
        else value
        for name, value in values.items()
    }
    return PortraitConfig(**built)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows lists alone; configs hold tuples, which can be hashed."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
    }
