"""The sizes of every network, as frozen dataclasses; `full()` is the published size,
`tiny()` runs in seconds on a CPU.

They hold no option that does not change an array's shape or meaning, and are what a
checkpoint records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, get_args

from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.dense_motion import WarpingConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.models.vgg import VGGConfig
from jaxportrait.models.whisper import WhisperConfig


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
