"""The journal of a run: scalars, pictures and films, and a console line with the time
left."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import jax
import numpy as np
from jaxtyping import UInt8
from rich.console import Console

from train.engine.writers import Film, Writer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BYTES_PER_GIB = 2**30


class Journal:
    """Scalars, pictures and films of a run.

    Args:
      writers: places that they are written to; none in all processes but the first.
      console: receives the lines.
      samples: number of samples of an update, over all devices.
      operations: those of one device in an update.
      peak: operations a second that one device reaches at most; None if unknown.
    """

    def __init__(
        self,
        writers: Sequence[Writer],
        console: Console,
        *,
        samples: int,
        operations: float,
        peak: float | None,
    ):
        self._console = console
        self._samples = samples
        self._operations = operations
        self._peak = peak
        self._writers = writers
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
        }
        if self._peak is not None:
            share = rate * self._operations / self._peak
            scalars["model_flop_utilisation"] = share
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
        for writer in self._writers:
            writer.scalars(scalars, step)

    def show(
        self, name: str, picture: UInt8[np.ndarray, "h w 3"] | Film, step: int
    ) -> None:
        """Write an RGB picture or a film."""
        for writer in self._writers:
            if isinstance(picture, Film):
                writer.film(name, picture, step)
            else:
                writer.picture(name, picture, step)

    def close(self) -> None:
        """Write everything to disk."""
        for writer in self._writers:
            writer.close()

    def _begin(self) -> None:
        self._start = time.perf_counter()
        self._waiting_seconds = 0.0
        self._metrics: list[Mapping[str, float]] = []

    def _print(
        self, step: int, steps: int, scalars: Mapping[str, float], rate: float
    ) -> None:
        # One line, however narrow the terminal.
        left = timedelta(seconds=round((steps - step) / rate))
        share = scalars.get("model_flop_utilisation")
        utilisation = "" if share is None else f"MFU {share:.1%}  "
        self._console.print(
            f"step {step}/{steps}  loss {scalars['loss']:.4f}  "
            f"gradient {scalars['gradient_norm']:.3g}  "
            f"rate {scalars['learning_rate']:.2e}  "
            f"{scalars['samples_per_second']:.1f} samples/s  "
            f"waiting {scalars['data_wait']:.0%}  "
            f"{utilisation}left {left}",
            highlight=False,
            soft_wrap=True,
        )


def device_memory() -> int:
    """Return the most bytes that this process's first device has used so far; 0 where
    its platform does not count them."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use", 0)


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
