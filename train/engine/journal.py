"""The journal of a run: scalars for TensorBoard and as JSON, pictures, and a console
line with the time left."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8
from rich.console import Console

from jaxportrait.whole import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "tensorboard"
LINES = "metrics.jsonl"
"""File of the same scalars, a line of JSON for each time that they are written."""
FLUSH_SECONDS = 1
"""Values are on disk after so long, and outlive a run that is killed."""
PEAK_SIDE = {"cpu": 1024}
PEAK_SIDE_ELSEWHERE = 8192
PEAK_REPEATS = 5
BYTES_PER_GIB = 2**30


class Journal:
    """Scalars and pictures of a run, written only by its first process.

    The lines of `metrics.jsonl` from before an interruption stay, up to `first_step`.

    Args:
      work_dir: the run folder.
      console: receives the lines.
      samples: number of samples of an update, over all devices.
      flops: FLOP of one device in an update.
      peak: FLOP a second that one device reaches at most.
      first_step: first step that will be written; TensorBoard hides later steps that
        the run wrote before it was interrupted.
    """

    def __init__(
        self,
        work_dir: Path,
        console: Console,
        *,
        samples: int,
        flops: float,
        peak: float,
        first_step: int = 1,
    ):
        self._console = console
        self._samples = samples
        self._flops = flops
        self._peak = peak
        self._writer = None
        self._lines = None
        if jax.process_index() == 0:
            # Only the first process needs it.
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(
                str(work_dir / FOLDER), purge_step=first_step, flush_secs=FLUSH_SECONDS
            )
            self._lines = _continue_lines(work_dir / LINES, first_step)
        self._begin()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count time in which the devices may wait for data."""
        start = time.perf_counter()
        yield
        self._waiting_seconds += time.perf_counter() - start

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave out time that is not training: validation, saving, plotting."""
        start = time.perf_counter()
        yield
        self._start += time.perf_counter() - start

    def add(self, metrics: Mapping[str, float]) -> None:
        """Add the metrics of one update."""
        self._metrics.append(metrics)

    def log(self, step: int, steps: int) -> None:
        """Write scalars and a line: means over the updates since the last line."""
        seconds = time.perf_counter() - self._start
        rate = len(self._metrics) / seconds
        latest = self._metrics[-1]
        # Means over the updates since the last line, and the latest rate.
        scalars = {}
        for name in latest:
            values = [metrics[name] for metrics in self._metrics]
            scalars[name] = float(np.mean(values))
        scalars |= {
            "learning_rate": latest["learning_rate"],
            "samples_per_second": rate * self._samples,
            "data_wait": self._waiting_seconds / seconds,
            "device_memory_gib": device_memory() / BYTES_PER_GIB,
            "model_flop_utilisation": rate * self._flops / self._peak,
        }
        self._write(step, scalars)
        self._print(step, steps, scalars, rate)
        self._begin()

    def report(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of held-out clips, and a line."""
        self._write(step, metrics)
        words = [
            f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items()
        ]
        line = f"step {step}  {'  '.join(words)}"
        self._console.print(line, highlight=False, soft_wrap=True)

    def _write(self, step: int, scalars: Mapping[str, float]) -> None:
        if self._writer is None or self._lines is None:
            return
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        self._lines.write(json.dumps({"step": step, **scalars}) + "\n")

    def image(self, name: str, pixels: UInt8[np.ndarray, "h w 3"], step: int) -> None:
        """Write an RGB picture."""
        if self._writer is not None:
            self._writer.add_image(name, pixels, step, dataformats="HWC")

    def close(self) -> None:
        """Write everything to disk."""
        if self._writer is not None:
            self._writer.close()
        if self._lines is not None:
            self._lines.close()

    def _begin(self) -> None:
        self._start = time.perf_counter()
        self._waiting_seconds = 0.0
        self._metrics: list[Mapping[str, float]] = []

    def _print(
        self, step: int, steps: int, scalars: Mapping[str, float], rate: float
    ) -> None:
        # One line, however narrow the terminal.
        left = timedelta(seconds=round((steps - step) / rate))
        self._console.print(
            f"step {step}/{steps}  loss {scalars['loss']:.4f}  "
            f"gradient {scalars['gradient_norm']:.3g}  "
            f"rate {scalars['learning_rate']:.2e}  "
            f"{scalars['samples_per_second']:.1f} samples/s  "
            f"waiting {scalars['data_wait']:.0%}  "
            f"MFU {scalars['model_flop_utilisation']:.1%}  left {left}",
            highlight=False,
            soft_wrap=True,
        )


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


def device_memory() -> int:
    """Return the most bytes that this process's first device has used so far; 0 where
    its platform does not count them."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use", 0)


def measure_peak(dtype: str) -> float:
    """Return the FLOP a second of one device, by its best time for a large matrix
    product."""
    side = PEAK_SIDE.get(jax.default_backend(), PEAK_SIDE_ELSEWHERE)
    # Matrices so large that the product is bound by compute.
    matrix = jnp.ones((side, side), jnp.dtype(dtype))
    multiply = jax.jit(lambda a, b: a @ b)
    jax.block_until_ready(multiply(matrix, matrix))
    times = []
    for _ in range(PEAK_REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(multiply(matrix, matrix))
        times.append(time.perf_counter() - start)
    return 2 * side**3 / min(times)


def plot_motion(
    truth: np.ndarray, sampled: np.ndarray, names: list[str], frames_per_second: float
) -> "Figure":
    """Plot sampled curves against true ones, a panel a value.

    Args:
      truth: true motion, (frames, values).
      sampled: sampled motion, of the same shape.
      names: names of the values.
      frames_per_second: rate of the frames.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2 * len(names)), layout="constrained")
    # A column of panels.
    panels = figure.subplots(len(names), squeeze=False)[:, 0]
    seconds = np.arange(len(truth)) / frames_per_second
    for index, (name, panel) in enumerate(zip(names, panels, strict=True)):
        panel.plot(seconds, truth[:, index], label="truth")
        panel.plot(seconds, sampled[:, index], label="sampled")
        panel.set(ylabel=name, xlabel="seconds")
        panel.legend(loc="upper right")
    return figure


def pixels(figure: "Figure") -> UInt8[np.ndarray, "h w 3"]:
    """Draw a figure as an RGB picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
