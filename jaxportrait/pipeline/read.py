"""Reading motion: pictures that are cropped to one face -> packed frames of motion."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TypeVar

import jax
import numpy as np
from jaxtyping import Float32, UInt8

from jaxportrait.models.motion import MotionExtractor
from jaxportrait.motion.space import pack
from jaxportrait.pipeline.ahead import run_ahead
from jaxportrait.pipeline.encode import extract_frames, extract_motion
from jaxportrait.types import SourceFrames

T = TypeVar("T")


def read_motion(
    network: MotionExtractor,
    pictures: Iterable[UInt8[np.ndarray, "s s 3"]],
    batch_size: int,
) -> Float32[np.ndarray, "pictures 70"]:
    """Return the packed motion of pictures; see `read_faces` for the arguments."""
    return read_faces(network, pictures, batch_size)[0]


def read_faces(
    network: MotionExtractor,
    pictures: Iterable[UInt8[np.ndarray, "s s 3"]],
    batch_size: int,
) -> tuple[Float32[np.ndarray, "pictures 70"], Float32[np.ndarray, "pictures k 3"]]:
    """Return the packed motion of pictures, and their canonical keypoints.

    Args:
      network: M.
      pictures: RGB, cropped to a face, of the size that M reads; at least one.
      batch_size: pictures that M reads at once.
    """
    frames = []
    keypoints = []
    for motion in _run(partial(extract_motion, network), pictures, batch_size):
        frames.append(pack(motion))
        keypoints.append(motion.keypoints)
    return np.concatenate(frames), np.concatenate(keypoints)


def read_frames(
    network: MotionExtractor,
    pictures: Iterable[UInt8[np.ndarray, "s s 3"]],
    batch_size: int,
) -> SourceFrames:
    """Return the keypoints and motion of the pictures of a source video, on the host.

    See `read_faces` for the arguments.
    """
    batches = _run(partial(extract_frames, network), pictures, batch_size)
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *batches)


def _run(
    program: Callable[[UInt8[np.ndarray, "b s s 3"]], T],
    pictures: Iterable[UInt8[np.ndarray, "s s 3"]],
    batch_size: int,
) -> Iterator[T]:
    """Yield a program's result for every batch of pictures, on the host.

    The next pictures are decoded meanwhile.
    """
    batches = _padded_batches(pictures, batch_size)
    return run_ahead((program(batch), count) for batch, count in batches)


def _padded_batches(
    pictures: Iterable[UInt8[np.ndarray, "s s 3"]], batch_size: int
) -> Iterator[tuple[UInt8[np.ndarray, "b s s 3"], int]]:
    """Yield batches of one size, and how many of their pictures count."""
    remaining = iter(pictures)
    while batch := list(islice(remaining, batch_size)):
        # One program serves all batches: a shorter one repeats its last picture.
        padding = [batch[-1]] * (batch_size - len(batch))
        yield np.stack(batch + padding), len(batch)
