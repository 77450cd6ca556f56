"""`Subject`: what is animated, whether a picture or a video."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.media.audio import Audio
from jaxportrait.motion.clip import MotionClip
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.rest import RestPolicy
from jaxportrait.renderer import Renderer

S = TypeVar("S")
T = TypeVar("T")
Frame = UInt8[np.ndarray, "h w 3"]


class Subject(Protocol):
    """A source, ready to be animated any number of times.

    Attributes:
      size: width and height of its frames.
      fps: frames a second of a video; None for a picture.
      audio: sound of a video that has one.
      passed_over: number of faces that were detected and not chosen.
      doubt: a line for a user where the detector is not sure of the face.
    """

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def fps(self) -> float | None: ...

    @property
    def audio(self) -> Audio | None: ...

    @property
    def passed_over(self) -> int: ...

    @property
    def doubt(self) -> str | None: ...

    def play(self, fps: float, count: int) -> Self:
        """Return the subject of a clip: a video, played to and fro as long as needed.

        Args:
          fps: frames a second of the clip.
          count: frames of the clip.
        """
        ...

    def most_frames(self, fps: float) -> int | None:
        """Return the frames of a clip that plays the subject once; None for a
        picture."""
        ...

    def keypoints(
        self,
        renderer: Renderer,
        motion: MotionClip,
        rest: RestPolicy | MotionClip,
        retargeting: Retargeting,
    ) -> Float[np.ndarray, "n k 3"]:
        """Return the driving keypoints of every frame of a clip."""
        ...

    def originals(self) -> Iterator[Frame]:
        """Yield the unchanged pictures of a clip, in order; one serves every frame of a
        portrait, and so has no end."""
        ...

    def frames(
        self,
        renderer: Renderer,
        keypoints: Float[np.ndarray, "n k 3"],
        finish: Callable[[Frame], T],
    ) -> Iterator[T]:
        """Yield the finished frames of a clip, in order.

        Args:
          finish: applied to every frame in the thread that has pasted it.
        """
        ...


def finish_in_threads(
    batches: Iterable[Iterable[S]], complete: Callable[[S], T]
) -> Iterator[T]:
    """Complete the items of batches in threads, and yield the results in order.

    OpenCV and the encoder's conversion of colours release the interpreter's lock.
    """
    with ThreadPoolExecutor(thread_name_prefix="paste") as pool:
        # A batch at a time: `map` draws all that it is given at once.
        for batch in batches:
            yield from pool.map(complete, batch)
