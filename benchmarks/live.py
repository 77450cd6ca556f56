"""`python -m benchmarks.live`: live sessions by the length of the chunks in which sound
comes: time to the first frame, frames a second, and real-time factor.

A session gets chunks when a microphone would send them, and its frames are encoded as
JPEG, as the service does; the socket is left out. The time of a frame counts from the
arrival of the chunk that completes what it waits for. `--golden` names a folder of
JoyVASA's golden figures, for that driver at recipe weights by parts.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import jax
import numpy as np
import tyro
from jaxtyping import Float32

from benchmarks.joyvasa import load_recipe
from benchmarks.report import publish
from infer.serve.avatar import Avatar, LiveOptions
from infer.serve.pictures import JpegStream
from infer.serve.session import Session
from jaxportrait import demo
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.drivers.live import LiveWindowDriver
from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.media.image import read_image

CHUNKS = (40, 100, 320, 1000)
"""Milliseconds of sound in a message."""
COLUMNS = (
    "chunk, ms",
    "first frame, s",
    "of a window, median, s",
    "worst, s",
    "frames a second",
    "real-time factor",
    "processor, s a second",
)
PART_COLUMNS = ("part", "s a call", "sound of a call, s", "real-time factor")


@dataclass(frozen=True)
class Options:
    """Time live sessions.

    Attributes:
      checkpoint: checkpoint with a live driver.
      source: picture with a face.
      driving: speech recording, repeated as often as needed.
      seconds: length of a session.
      max_size: longest side of the frames in pixels.
      fps: frames a second.
      steps: steps of sampling; by default the driver's.
      batch_size: frames that a device renders at once; by default as the service.
      golden: folder of JoyVASA's golden figures; times that driver instead.
      json: file to write the figures to as well.
    """

    checkpoint: Path = demo.CHECKPOINT
    source: Path = demo.PORTRAIT
    driving: Path = demo.SENTENCE
    seconds: float = 12.0
    max_size: int = 256
    fps: float = 25.0
    steps: int | None = None
    batch_size: int | None = None
    golden: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    json: Path | None = None


@dataclass(frozen=True)
class Figures:
    """Times of a session.

    Attributes:
      first: seconds from a chunk to the session's first frame.
      windows: the same for the first frame of every window.
      fps: frames a second, from the first to the last.
      factor: seconds of computing for a second of sound, without waiting for chunks.
      processor: processor time of all threads for a second of sound, which other
        programs of the machine hardly change.
    """

    first: float
    windows: list[float]
    fps: float
    factor: float
    processor: float

    def row(self, chunk: int) -> list[str]:
        numbers = [self.first, median(self.windows), max(self.windows)]
        cells = [f"{number:.3f}" for number in numbers]
        cells += [f"{self.fps:.1f}", f"{self.factor:.2f}", f"{self.processor:.2f}"]
        return [str(chunk), *cells]


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    if options.golden is not None:
        time_joyvasa(options.golden, options.json)
        return
    animator = Animator.from_checkpoint(
        options.checkpoint, batch_size=options.batch_size
    )
    portrait = animator.prepare(read_image(options.source, options.max_size))
    avatar = Avatar.open(
        animator,
        portrait,
        Sampling(steps=options.steps),
        live=LiveOptions(options.fps),
    )
    avatar.warm_up()
    sound = read_sound(options.driving, options.seconds)
    figures = {chunk: time_session(avatar.start, sound, chunk) for chunk in CHUNKS}
    rows = [values.row(chunk) for chunk, values in figures.items()]
    width, height = portrait.size
    title = f"live sessions, {width}x{height} pixels at {options.fps:g} frames a second"
    data = {chunk: vars(values) for chunk, values in figures.items()}
    publish(title, COLUMNS, rows, data, options.json)


def read_sound(path: Path, seconds: float) -> Float32[np.ndarray, " n"]:
    """Return so many seconds of a recording, repeated."""
    samples = np.concatenate(list(Audio.open(path).stream()))
    count = round(seconds * SAMPLE_RATE)
    return np.resize(samples, count)


def time_session(
    start: Callable[[], Session], sound: Float32[np.ndarray, " n"], chunk: int
) -> Figures:
    """Time a session in real time, and one that gets its sound at once.

    Args:
      chunk: milliseconds of sound in a message.
    """
    pieces = cut(sound, chunk)
    begin = time.perf_counter()
    processor = time.process_time()
    session = start()
    for piece in pieces:
        use(session.feed(piece, JpegStream().convert))
    use(session.finish(JpegStream().convert))
    seconds = len(sound) / SAMPLE_RATE
    factor = (time.perf_counter() - begin) / seconds
    processor = (time.process_time() - processor) / seconds
    delays, times = follow(start(), pieces)
    fps = (len(times) - 1) / (times[-1] - times[0])
    return Figures(delays[0], delays, fps, factor, processor)


def follow(
    session: Session, pieces: list[Float32[np.ndarray, " n"]]
) -> tuple[list[float], list[float]]:
    """Feed a session as its sound comes.

    Returns:
      Delays of the first frame of every window, and times of all frames.
    """
    begin = time.perf_counter()
    arrival = begin
    delays = []
    times = []
    for piece in pieces:
        # A chunk arrives when its last sample has been spoken.
        arrival += len(piece) / SAMPLE_RATE
        time.sleep(max(0.0, arrival - time.perf_counter()))
        is_first = True
        for _ in session.feed(piece, JpegStream().convert):
            times.append(time.perf_counter())
            if is_first:
                delays.append(times[-1] - arrival)
            is_first = False
    return delays, times


def cut(
    sound: Float32[np.ndarray, " n"], chunk: int
) -> list[Float32[np.ndarray, " n"]]:
    size = chunk * SAMPLE_RATE // 1000
    return [sound[start : start + size] for start in range(0, len(sound), size)]


def use(frames: Iterator[Any]) -> None:
    for _ in frames:
        pass


def time_joyvasa(golden: Path, path: Path | None) -> None:
    """Time the parts of a live window of JoyVASA's driver at recipe weights."""
    driver = load_recipe(golden)
    live = LiveWindowDriver(driver)
    windows = live.windows
    hop = windows.stride / driver.fps
    rng = np.random.default_rng(0)
    count = round(hop * SAMPLE_RATE)
    sound = rng.normal(0, 0.1, count).astype(np.float32)
    width = driver.features.width
    features = rng.normal(0, 1, (windows.plan.audio_frames, width))
    state = live.start(0)

    def encode() -> None:
        driver.features.step(state.encoder, sound)

    def sample() -> None:
        motion, _ = driver.sample_window(
            windows,
            features.astype(np.float32),
            jax.random.key(0),
            driver.start_window(),
            0,
        )
        jax.block_until_ready(motion)

    calls = {"HuBERT, a hop": encode, "denoiser, a window": sample}
    figures = {name: repeat(call) for name, call in calls.items()}
    figures["sound to motion"] = sum(figures.values())
    rows = []
    for name, seconds in figures.items():
        rows.append([name, f"{seconds:.2f}", f"{hop:.2f}", f"{seconds / hop:.2f}"])
    publish("JoyVASA's live windows", PART_COLUMNS, rows, figures, path)


def repeat(call: Callable[[], None], times: int = 3) -> float:
    """Return the median seconds of a call, whose first one compiles."""
    call()
    return median(map(partial(timed, call), range(times)))


def timed(call: Callable[[], None], _: int) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


if __name__ == "__main__":
    keep_freed_memory()
    main()
