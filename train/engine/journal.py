"""What a run tells: TensorBoard scalars and figures, and a console line with the time
left."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8
from rich.console import Console

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "tensorboard"
FLUSH_SECONDS = 1
"""What is written is on disk after so long, and outlives a run that is killed."""
PEAK_SIDE = {"cpu": 1024}
PEAK_SIDE_ELSEWHERE = 8192
PEAK_REPEATS = 5


class Journal:
    """Scalars and figures of a run, written by its first process alone; means are over
    the updates since the last line.

    Args:
      first_step: that will be written; TensorBoard hides what the run, before it was
        interrupted, wrote of later ones.
      samples: in an update, over all devices.
      flops: of one device in an update.
      peak: FLOP a second that one device can do.
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
        self._console, self._samples, self._flops, self._peak = (
            console,
            samples,
            flops,
            peak,
        )
        self._writer = None
        if jax.process_index() == 0:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(
                str(work_dir / FOLDER), purge_step=first_step, flush_secs=FLUSH_SECONDS
            )
        self._begin()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time that the devices may wait for data."""
        start = time.perf_counter()
        yield
        self._waited += time.perf_counter() - start

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Time that is not training: validation, saving, plotting."""
        start = time.perf_counter()
        yield
        self._start += time.perf_counter() - start

    def add(self, metrics: Mapping[str, float]) -> None:
        """Metrics of one update."""
        self._metrics.append(metrics)

    def log(self, step: int, steps: int) -> None:
        """Write scalars and a line over the updates since the last."""
        seconds, count = time.perf_counter() - self._start, len(self._metrics)
        means = {
            name: float(np.mean([metrics[name] for metrics in self._metrics]))
            for name in self._metrics[-1]
        }
        rate = count / seconds
        scalars = means | {
            "learning_rate": self._metrics[-1]["learning_rate"],
            "samples_per_second": rate * self._samples,
            "data_wait": self._waited / seconds,
            "device_memory_gib": device_memory() / 2**30,
            "model_flop_utilisation": rate * self._flops / self._peak,
        }
        for name, value in scalars.items():
            self.scalar(name, value, step)
        self._say(step, steps, scalars, rate)
        self._begin()

    def scalar(self, name: str, value: float, step: int) -> None:
        if self._writer is not None:
            self._writer.add_scalar(name, value, step)

    def image(self, name: str, pixels: UInt8[np.ndarray, "h w 3"], step: int) -> None:
        """Write an RGB picture."""
        if self._writer is not None:
            self._writer.add_image(name, pixels, step, dataformats="HWC")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _begin(self) -> None:
        self._start, self._waited, self._metrics = time.perf_counter(), 0.0, []

    def _say(
        self, step: int, steps: int, scalars: Mapping[str, float], rate: float
    ) -> None:
        left = timedelta(seconds=round((steps - step) / rate))
        self._console.print(
            f"step {step}/{steps}  loss {scalars['loss']:.4f}  gradient {scalars['gradient_norm']:.3g}  "
            f"rate {scalars['learning_rate']:.2e}  {scalars['samples_per_second']:.1f} samples/s  "
            f"waiting {scalars['data_wait']:.0%}  MFU {scalars['model_flop_utilisation']:.1%}  left {left}",
            highlight=False,
            soft_wrap=True,
        )


def device_memory() -> int:
    """Bytes in use at most so far on this process's first device; 0 where its platform
    does not say."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use", 0)


def measure_peak(dtype: str) -> float:
    """FLOP a second of one device, by its best time for a large matrix product."""
    side = PEAK_SIDE.get(jax.default_backend(), PEAK_SIDE_ELSEWHERE)
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
    """A panel a value: the sampled curve against the true one.

    Args:
      truth, sampled: (frames, values).
      names: of the values.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2 * len(names)), layout="constrained")
    seconds = np.arange(len(truth)) / frames_per_second
    for index, (name, panel) in enumerate(
        zip(names, figure.subplots(len(names), squeeze=False)[:, 0], strict=True)
    ):
        panel.plot(seconds, truth[:, index], label="truth")
        panel.plot(seconds, sampled[:, index], label="sampled")
        panel.set(ylabel=name, xlabel="seconds")
        panel.legend(loc="upper right")
    return figure


def pixels(figure: "Figure") -> UInt8[np.ndarray, "h w 3"]:
    """A figure as an RGB image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
