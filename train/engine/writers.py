"""Places that a run's scalars, pictures and films are written to: TensorBoard, a file of
JSON lines, and Weights & Biases."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TextIO
from uuid import uuid4

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxportrait.whole import write_whole
from train.engine.config import ConfigError

FOLDER = "tensorboard"
LINES = "metrics.jsonl"
"""File of the same scalars, a line of JSON for each time that they are written."""
WANDB_RUN = "wandb_run"
"""File with the run's name at Weights & Biases, by which a resumed run continues it."""
FLUSH_SECONDS = 1
"""Values are on disk after so long, and outlive a run that is killed."""

Pixels = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Film:
    """RGB pictures in time.

    Attributes:
      frames: pictures, one after the other.
      fps: pictures a second.
    """

    frames: UInt8[np.ndarray, "frames h w 3"]
    fps: float

    def gif(self) -> bytes:
        """Return the film as an animated GIF, which TensorBoard plays."""
        pictures = [Image.fromarray(frame) for frame in self.frames]
        # a GIF counts in hundredths of a second
        ends = np.rint(np.arange(len(pictures) + 1) * 100 / self.fps)
        file = BytesIO()
        pictures[0].save(
            file,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=(10 * np.diff(ends)).astype(int).tolist(),
            loop=0,
        )
        return file.getvalue()


class Writer(Protocol):
    """A place that a run is written to."""

    def scalars(self, values: Mapping[str, float], step: int) -> None: ...
    def picture(self, name: str, pixels: Pixels, step: int) -> None: ...
    def film(self, name: str, film: Film, step: int) -> None: ...
    def close(self) -> None: ...


class TensorBoard:
    """Event files; TensorBoard hides later steps that the run wrote before it was
    interrupted."""

    def __init__(self, work_dir: Path, first_step: int):
        # Only the first process needs it.
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(
            str(work_dir / FOLDER), purge_step=first_step, flush_secs=FLUSH_SECONDS
        )

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, name: str, pixels: Pixels, step: int) -> None:
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def film(self, name: str, film: Film, step: int) -> None:
        # Protocol buffers make their classes when they are loaded.
        from tensorboardX.proto.summary_pb2 import (
            Summary,  # pyright: ignore[reportAttributeAccessIssue]
        )

        # `add_video` would need moviepy.
        height, width = film.frames.shape[1:3]
        image = Summary.Image(
            height=height,
            width=width,
            colorspace=film.frames.shape[3],
            encoded_image_string=film.gif(),
        )
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        event_file = self._writer.file_writer
        assert event_file is not None
        event_file.add_summary(summary, step)

    def close(self) -> None:
        self._writer.close()


class JsonLines:
    """A line of JSON for the scalars of each time; pictures are left out.

    The lines from before an interruption stay, up to `first_step`.
    """

    def __init__(self, work_dir: Path, first_step: int):
        self._file = _continue_lines(work_dir / LINES, first_step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._file.write(json.dumps({"step": step, **values}) + "\n")

    def picture(self, name: str, pixels: Pixels, step: int) -> None: ...

    def film(self, name: str, film: Film, step: int) -> None: ...

    def close(self) -> None:
        self._file.close()


class WeightsAndBiases:
    """A run of Weights & Biases, which a resumed run continues.

    Args:
      work_dir: the run folder; its own files are there, too.
      project: name of the project.
      config: options of the run.

    Raises:
      ConfigError: the service refuses the run.
    """

    def __init__(self, work_dir: Path, project: str, config: Mapping[str, Any]):
        import wandb  # pyright: ignore[reportMissingImports]

        self._wandb = wandb
        try:
            self._run = wandb.init(
                project=project,
                name=work_dir.resolve().name,
                id=_run_name(work_dir / WANDB_RUN),
                dir=work_dir,
                config=dict(config),
                resume="allow",
            )
        # No key, or no connection.
        except wandb.Error as error:
            raise ConfigError(
                f"--wandb {project}: {error} (WANDB_MODE=offline writes to the run folder only)"
            ) from error
        # Steps of its own must rise, and those of a resumed run begin again.
        self._run.define_metric("*", step_metric="step")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._run.log({"step": step, **values})

    def picture(self, name: str, pixels: Pixels, step: int) -> None:
        self._run.log({"step": step, name: self._wandb.Image(pixels)})

    def film(self, name: str, film: Film, step: int) -> None:
        video = self._wandb.Video(BytesIO(film.gif()), format="gif")
        self._run.log({"step": step, name: video})

    def close(self) -> None:
        self._run.finish()


def check_wandb() -> None:
    """Raise a ConfigError unless wandb is installed."""
    if find_spec("wandb") is None:
        raise ConfigError(
            "--wandb needs the package wandb, which is not installed: pip install 'jaxportrait[wandb]', "
            "or leave it out"
        )


def _run_name(path: Path) -> str:
    """Return the name that a file holds; a new one where there is no file."""
    if not path.is_file():
        with write_whole(path) as partial:
            partial.write_text(uuid4().hex, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _continue_lines(path: Path, first_step: int) -> TextIO:
    """Open a file of lines, without those of `first_step` and later."""
    earlier = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = []
    for line in earlier:
        # A run that was killed may leave half a line.
        with suppress(ValueError, KeyError, TypeError):
            if json.loads(line)["step"] < first_step:
                lines.append(line + "\n")
    with write_whole(path) as partial:
        partial.write_text("".join(lines), encoding="utf-8")
    # Each line is on disk when it is complete.
    return path.open("a", encoding="utf-8", buffering=1)
