"""Natural motion: blinks and slight turns of the head, for a voice that moves only lips.

Source: rates of blinks are those of Bentivoglio et al., "Analysis of blink rate patterns
in normal subjects", Movement Disorders 12 (1997): 26 a minute in conversation. Their
durations are those of alert people in Caffier et al., "Experimental evaluation of
eye-blink parameters as a drowsiness measure", European Journal of Applied Physiology 89
(2003): lids shut in about 60 ms, open in about 140 ms, and a blink lasts 200 ms.
Frequencies of turns are those of the slow and ordinary movements in Hadar et al.,
"Kinematics of head movements accompanying speech during conversation", Human Movement
Science 2 (1983). The sizes of turns are a choice: about half of what speakers do.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.rotation import matrices_of
from jaxportrait.motion.space import KEYPOINTS
from jaxportrait.ops.curves import smoothstep

BLINKS_A_MINUTE = 26.0
INTERVAL_SPREAD = 0.6
"""Deviation of the logarithm of the time between two blinks."""
SHORTEST_INTERVAL = 0.6
"""Seconds from the start of a blink to that of the next."""
CLOSING = 0.07
SHUT = 0.04
"""Seconds for which the lids stay shut, so that a frame shows them."""
OPENING = 0.14
DURATION_SPREAD = 0.15
"""Deviation of the logarithm of a blink's duration."""

TURN_DEVIATIONS = (1.0, 1.5, 0.7)
"""Standard deviations of pitch, yaw and roll in degrees."""
FREQUENCIES = (0.1, 1.0)
"""Lowest and highest frequency of turns in Hz."""
WAVES = 8
"""Sine waves whose sum turns the head about an axis."""

NATURAL_KEY = 0x6E61
"""Number that splits the seed of natural motion from that of sampling."""


@dataclass(frozen=True)
class Blink:
    """A blink.

    Attributes:
      start: seconds from the start of the clip.
      pace: factor of the durations of closing, staying shut and opening.
    """

    start: float
    pace: float

    def closure(self, times: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """Return how far the lids are shut at each time, 0 to 1."""
        ends = np.cumsum([0.0, CLOSING, SHUT, OPENING]) * self.pace
        share = np.interp(times - self.start, ends, [0.0, 1.0, 1.0, 0.0])
        # Lids start and stop gently.
        return smoothstep(share)


def add_natural_motion(
    voice: MotionClip,
    blink: Float32[np.ndarray, "k 3"],
    seed: int,
    first: int = 0,
) -> MotionClip:
    """Return the motion of a voice with blinks and slight turns of the head.

    The same seed gives the same motion at any rate and for any length.

    Args:
      voice: motion that has no head.
      blink: offsets of the expression that shut both eyes.
      seed: seed of the sampling, from which another one is split.
      first: number of the first frame, for a part of a longer motion.

    Raises:
      ValueError: the motion has a head.
    """
    if voice.moves_head:
        raise ValueError("this motion moves the head already: leave out natural motion")
    blinks, turns = np.random.SeedSequence(seed, spawn_key=(NATURAL_KEY,)).spawn(2)
    times = np.arange(first, first + len(voice)) / voice.fps
    # A voice may make no expression besides its lips'.
    expression = voice.expression
    if expression is None:
        expression = np.zeros((len(voice), KEYPOINTS, 3), np.float32)
    closure = lid_closure(times, np.random.default_rng(blinks))
    degrees = head_turns(times, np.random.default_rng(turns))
    return replace(
        voice,
        expression=expression + closure[:, None, None] * blink,
        rotation=matrices_of(degrees),
    )


def lid_closure(
    times: Float[np.ndarray, " n"], random: np.random.Generator
) -> Float32[np.ndarray, " n"]:
    """Return how far the lids are shut at each time, 0 to 1.

    Args:
      times: rising times in seconds, from 0.
      random: draws the blinks one after the other, from the first.
    """
    closure = np.zeros(len(times))
    for blink in draw_blinks(float(times[-1]), random):
        # Blinks that follow at once are one.
        closure = np.maximum(closure, blink.closure(times))
    return closure.astype(np.float32)


def draw_blinks(seconds: float, random: np.random.Generator) -> list[Blink]:
    """Return the blinks of a clip in order."""
    blinks = []
    # The logarithm's mean that makes the mean of the intervals 60 / rate.
    mean = np.log(60 / BLINKS_A_MINUTE) - INTERVAL_SPREAD**2 / 2
    start = 0.0
    while True:
        interval = random.lognormal(mean, INTERVAL_SPREAD)
        start += max(SHORTEST_INTERVAL, interval)
        pace = random.lognormal(0.0, DURATION_SPREAD)
        if start > seconds:
            return blinks
        blinks.append(Blink(start, pace))


def head_turns(
    times: Float[np.ndarray, " n"], random: np.random.Generator
) -> Float64[np.ndarray, "n 3"]:
    """Return pitch, yaw and roll in degrees at each time: sums of sine waves, of which
    the slower ones are larger."""
    # As many waves for each octave.
    lowest, highest = np.log(FREQUENCIES)
    shape = (WAVES, len(TURN_DEVIATIONS))
    frequency = np.exp(random.uniform(lowest, highest, shape))
    phase = random.uniform(0, 2 * np.pi, shape)
    amplitude = 1 / frequency
    # A sine wave of amplitude 1 has the variance 1/2.
    deviation = np.sqrt(np.square(amplitude).sum(axis=0) / 2)
    amplitude *= np.array(TURN_DEVIATIONS) / deviation
    # (n, waves, angles) becomes (n, angles).
    angle = 2 * np.pi * frequency * times[:, None, None] + phase
    return (amplitude * np.sin(angle)).sum(axis=1)
