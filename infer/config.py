"""The options of the inference program."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import arg

from jaxportrait import demo
from jaxportrait.animation import Driving, Sampling
from jaxportrait.animator import DType
from jaxportrait.media.faces import DetectorName
from jaxportrait.media.video import Encoder


@dataclass(frozen=True)
class Options:
    """Animate a portrait with a speech recording; without arguments, the demo's.

    Attributes:
      source: picture with a face; by default the demo's portrait.
      driving: speech recording (wav, mp3, m4a, flac, ogg, ...); by default the demo's
        sentence.
      checkpoint: made by `python -m convert_weights` or `python -m train.export`; by
        default the demo's, which knows drawn heads alone, where the package holds it.
      output_dir: folder for the video, `SOURCE--DRIVING.mp4`; made if it is missing.
      driving_kind: `audio` takes the sound of a video given as --driving.
      sampling: how motion is made of sound.
      composing: how motion moves the source.
      output_fps: frames a second of the video.
      detector: what finds the face; `none` takes the whole picture as already cropped.
      detector_models: folder of detector model files (InsightFace, YuNet).
      face: which face to animate, 0 the largest.
      dtype: in which frames are made (motion in bfloat16 unless this is float32);
        `auto` is float16 on a GPU, bfloat16 on a TPU, float32 on a CPU.
      platform: device to run on; `auto` takes an accelerator if there is one.
      devices: how many of the platform's devices share the frames; by default all.
      batch_size: frames that a device renders at once; by default 8 on an accelerator,
        and on a CPU 1, or 4 by networks for small pictures.
      crf: constant rate factor of H.264, 0 (lossless) to 51.
      encoder: `auto` takes NVENC where it works.
      compilation_cache: folder in which compiled programs are kept between runs; `none`
        keeps none.
      warmup: only compile, into that cache, what clips as long as --driving or shorter
        need with these options; makes no video.
      debug: show the traceback of an error.
    """

    source: Annotated[Path, arg(aliases=["-s"], metavar="IMAGE")] = demo.PORTRAIT
    driving: Annotated[Path, arg(aliases=["-d"], metavar="AUDIO")] = demo.SENTENCE
    checkpoint: Annotated[Path, arg(metavar="CKPT")] = demo.CHECKPOINT
    output_dir: Annotated[Path, arg(aliases=["-o"], metavar="DIR")] = Path("generated")
    driving_kind: Literal["auto", "audio"] = "auto"
    sampling: tyro.conf.OmitArgPrefixes[Sampling] = field(default_factory=Sampling)
    composing: tyro.conf.OmitArgPrefixes[Driving] = field(default_factory=Driving)
    output_fps: float = 30.0
    detector: DetectorName = "auto"
    detector_models: Annotated[Path | None, arg(metavar="DIR")] = None
    face: int | None = None
    dtype: DType = "auto"
    platform: Literal["auto", "cpu", "cuda", "tpu"] = "auto"
    devices: int | None = None
    batch_size: int | None = None
    crf: int = 18
    encoder: Encoder = "auto"
    compilation_cache: str | None = None
    warmup: bool = False
    debug: bool = False

    @property
    def output(self) -> Path:
        return self.output_dir / f"{self.source.stem}--{self.driving.stem}.mp4"
