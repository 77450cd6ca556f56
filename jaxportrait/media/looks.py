"""Looks at a video for faces, and the limits by which a face is the same in two looks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from jaxportrait.media.faces import Detector, Face

LOOK_INTERVAL = 0.2
"""Seconds between two detections: the crop is a mean over the clip, and heads move
slowly."""
ROUNDING = 1e-3
"""Seconds to which times in containers are rounded."""
LONGEST_ABSENCE = 0.6
"""Seconds between two sightings; over more, the face is out of sight. Detectors miss it
in single looks."""
FARTHEST_STRAY = 0.5
"""Distance from the place of the face, in sides of its hull: no crop holds a face that
moves farther, so that it is another one."""
LARGEST_GROWTH = 1.5
"""Ratio of two sides of a hull, the larger over the smaller, beyond which one is an
error."""


@dataclass(frozen=True)
class Looks:
    """Detections in some of a clip's frames.

    Attributes:
      times: seconds of every frame on the file's clock.
      seconds: seconds of the frames in which faces were sought.
      faces: faces of each of these frames, in any order.
    """

    times: Float64[np.ndarray, " frames"]
    seconds: tuple[float, ...]
    faces: tuple[list[Face], ...]

    def part(self, start: int, stop: int) -> "Looks":
        """Return the looks at frames `start` to `stop`."""
        times = self.times[start:stop]
        pairs = zip(self.seconds, self.faces, strict=True)
        inside = [pair for pair in pairs if times[0] <= pair[0] <= times[-1]]
        seconds = tuple(time for time, _ in inside)
        return Looks(times, seconds, tuple(faces for _, faces in inside))


def look_for_faces(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "h w 3"]]], detector: Detector
) -> Looks:
    """Detect faces five times a second.

    Args:
      frames: times in seconds and RGB pictures, in order.
      detector: finds faces in a picture.
    """
    times: list[float] = []
    seconds: list[float] = []
    faces: list[list[Face]] = []
    for time, image in frames:
        times.append(time)
        if seconds and time - seconds[-1] < LOOK_INTERVAL - ROUNDING:
            continue
        seconds.append(time)
        faces.append(detector.find(image))
    return Looks(np.array(times), tuple(seconds), tuple(faces))


def describe_absences(ranges: Sequence[tuple[float, float]]) -> str:
    """Return a line about the seconds in which the face is out of sight; empty for
    none."""
    if not ranges:
        return ""
    spans = [f"from {start:.2f} to {stop:.2f} s" for start, stop in ranges]
    return f"the face is out of sight {', '.join(spans)}"
