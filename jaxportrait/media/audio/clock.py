"""Samples kept where the clock of their file puts them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av

from jaxportrait.media.audio.frames import cut_frame, silence_like
from jaxportrait.media.demux import corruption
from jaxportrait.media.memory import MediaFile

TOLERANCE = 0.01
"""Seconds between clock and samples; timestamps of containers jitter by less."""
LONGEST_PAUSE = 1.0
"""Seconds for which a stream may send nothing; it is silence."""


@dataclass(frozen=True)
class Gap:
    """A stretch without packets, in whose place silence was put.

    Attributes:
      start: its start, in seconds from the start of the clip.
      seconds: its length.
    """

    start: float
    seconds: float


class SoundClock:
    """Compares timestamps with the samples that have come, so that small differences
    cannot add up.

    Where the clock runs ahead, silence is put in; where it lags, samples that overlap
    are left out.
    """

    def __init__(
        self, path: MediaFile, on_gap: Callable[[Gap], None], *, can_pause: bool = True
    ):
        """Start with a file's first frame.

        Args:
          path: the file, for messages.
          on_gap: called for every gap.
          can_pause: False for a file without timestamps, where a gap is damage.
        """
        self._path = path
        self._on_gap = on_gap
        self._can_pause = can_pause
        # seconds of all samples so far
        self._seconds = Fraction(0)
        # time of the file at which the samples started
        self._start: float | None = None
        self._complaint: str | None = None

    @property
    def position(self) -> float:
        """Seconds on the file's clock at which the next sample is due."""
        return (self._start or 0.0) + float(self._seconds)

    def complain(self, reason: str | None) -> None:
        """Note a packet that cannot be decoded; it is damage if a gap follows."""
        self._complaint = reason or "no reason stated"

    def restart(self) -> None:
        """Let the next frame follow at once, as in a recording that was appended."""
        self._start = None
        self._complaint = None

    def place(self, frame: av.AudioFrame) -> Iterator[av.AudioFrame]:
        """Yield a frame, after silence where samples are missing before it.

        Raises:
          ValueError: the samples are missing because of damage, or for too long.
        """
        lead = self._lead(frame)
        if lead > TOLERANCE:
            self._check(lead)
            yield self._fill(frame, lead)
        self._complaint = None
        overlap = round(-lead * frame.sample_rate) if lead < -TOLERANCE else 0
        rest = cut_frame(frame, overlap, frame.samples)
        if rest is not None:
            self._count(rest)
            yield rest

    def _lead(self, frame: av.AudioFrame) -> float:
        """Return the seconds by which a frame's time is ahead of the samples so far."""
        if frame.time is None:
            return 0.0
        if self._start is None:
            self._start = frame.time - float(self._seconds)
        lead = frame.time - self.position
        # a clock that jumps back starts another recording
        if lead < -LONGEST_PAUSE:
            self._start += lead
            return 0.0
        return lead

    def _check(self, lead: float) -> None:
        if self._complaint is not None:
            raise corruption(self._path, self.position, self._complaint)
        if lead > LONGEST_PAUSE or not self._can_pause:
            end = self.position + lead
            raise ValueError(
                f"{self._path} lacks its sound from {self.position:.2f} to {end:.2f} s: "
                "use an intact copy, or re-encode it with silence there"
            )

    def _fill(self, frame: av.AudioFrame, seconds: float) -> av.AudioFrame:
        self._on_gap(Gap(float(self._seconds), seconds))
        silence = silence_like(frame, seconds)
        self._count(silence)
        return silence

    def _count(self, frame: av.AudioFrame) -> None:
        self._seconds += Fraction(frame.samples, frame.sample_rate)
