"""Motion of a speaker, frame by frame: lips, head, eyes, brows and smile."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from train.synthetic.camera import Pose
from train.synthetic.curves import smoothstep
from train.synthetic.eyes import EyeState
from train.synthetic.mouth import MouthState
from train.synthetic.scene import Moment
from train.synthetic.speech import Speech
from train.synthetic.visemes import mouth_track

FPS = 30
"""Frames a second."""
BLINK_INTERVAL = 3.4
"""Mean seconds between blinks of a speaker."""
BLINK_REST = 0.6
"""Least seconds between blinks."""
BLINK_SHUT, BLINK_OPEN = 0.10, 0.20
"""Seconds to close the eyes, and to open them again."""
FIXATION = (0.5, 2.4)
"""Seconds that the eyes rest on a place."""
SACCADE = 0.05
"""Seconds of a jump between places."""
WIDE_JUMP = 9
"""Degrees; some jumps that are wider come with a blink."""
BLINK_AT_JUMP = 0.4
"""Share of wide jumps that come with a blink."""
FOLLOWING = 0.85
"""Share of the head's turn that the eyes make up for."""
GAZE_LIMITS = ((-28, -16), (28, 18))
"""Least and greatest gaze, to the right and down, in degrees."""
NARROW = 0.3
"""Share by which an emotion that narrows the eyes shuts the lids."""
VOICE_SMOOTHING = 0.12
"""Seconds; heads do not nod to every syllable."""
EFFORT = (0.88, 1.12)
"""Range of the extent of mouth motion, from clip to clip."""

Track = Float[np.ndarray, " f"]
"""A value a frame."""


@dataclass(frozen=True)
class Emotion:
    """Effects of an emotion at level 3 on a face.

    Attributes:
      smile: -1 to 1.
      raised, furrowed: motion of the brows.
      wide: opening of the eyes.
      pitch: pitch of the head, in degrees.
    """

    smile: float = 0.0
    raised: float = 0.0
    furrowed: float = 0.0
    wide: float = 0.0
    pitch: float = 0.0


EMOTIONS: dict[str, Emotion] = {
    "neutral": Emotion(smile=0.12),
    "happy": Emotion(smile=0.95, raised=0.2),
    "sad": Emotion(smile=-0.6, raised=0.15, furrowed=-0.75, wide=-0.35, pitch=-4.0),
    "angry": Emotion(smile=-0.3, raised=-0.35, furrowed=0.95, pitch=-3.0),
    "surprise": Emotion(raised=1.0, wide=0.8, pitch=2.0),
    "fear": Emotion(smile=-0.25, raised=0.7, furrowed=-0.3, wide=0.7),
    "disgusted": Emotion(smile=-0.55, furrowed=0.65, wide=-0.35, pitch=2.0),
    "contempt": Emotion(smile=0.3, raised=0.25, furrowed=0.2, wide=-0.3, pitch=4.0),
}
ALL_EMOTIONS = tuple(EMOTIONS)
LEVELS = 3
"""Number of levels of an emotion."""


@dataclass(frozen=True)
class Performance:
    """A clip's motion.

    Attributes:
      times: times of the frames, in seconds.
      mouth: jaw, width, rounding, closure, tongue.
      pose: pitch, yaw and roll in degrees.
      translation: to the right and down, as shares of the picture's side.
      scale: factor of the head's size in the picture.
      gaze: to the right and down, in degrees relative to the head.
      blink: 0 open to 1 shut, below 0 for wide eyes.
      brows: raised and furrowed.
      smile: -1 to 1.
    """

    times: Track
    mouth: Float[np.ndarray, "f 5"]
    pose: Float[np.ndarray, "f 3"]
    translation: Float[np.ndarray, "f 2"]
    scale: Track
    gaze: Float[np.ndarray, "f 2"]
    blink: Track
    brows: Float[np.ndarray, "f 2"]
    smile: Track

    def __len__(self) -> int:
        return len(self.times)

    def moment(self, frame: int) -> Moment:
        """Return the pose of the person in one frame."""
        pitch, yaw, roll = self.pose[frame].tolist()
        right, down = self.translation[frame].tolist()
        pose = Pose(
            angles=(pitch, yaw, roll),
            translation=(right, down),
            scale=float(self.scale[frame]),
        )
        smile = float(self.smile[frame])
        mouth = MouthState(*self.mouth[frame].tolist(), smile=smile)
        gaze_right, gaze_down = self.gaze[frame].tolist()
        raised, furrowed = self.brows[frame].tolist()
        eyes = EyeState(
            gaze=(gaze_right, gaze_down),
            blink=float(self.blink[frame]),
            raised=raised,
            furrowed=furrowed,
            smile=max(smile, 0.0),
        )
        return Moment(pose, mouth, eyes)


def perform(
    speech: Speech, emotion: str, level: int, random: np.random.Generator
) -> Performance:
    """Act out a speech.

    Args:
      speech: sound and phonemes.
      emotion: name in `EMOTIONS`.
      level: strength of the emotion, 1 to 3.
      random: generator of everything that the speech leaves open.
    """
    feeling = EMOTIONS[emotion]
    strength = 1.0 if emotion == "neutral" else level / LEVELS
    times = np.arange(int(speech.seconds * FPS)) / FPS
    voice = _smooth(speech.loudness(times), VOICE_SMOOTHING)
    # The order of these lines is that of the random numbers: the same seed must give
    # the same clip.
    pose = _head_pose(times, voice, random)
    pose = pose + np.array([strength * feeling.pitch, 0, 0])
    gaze, jumps = _gaze(times, pose, random)
    sway = _wander_axes(times, 0.25, (0.008, 0.005), random)
    effort = float(random.uniform(*EFFORT))
    mouth = mouth_track(speech.phonemes, times, effort)
    translation = sway + random.uniform(-0.02, 0.02, 2)
    size = random.uniform(0.94, 1.06)
    scale = size * (1 + 0.012 * _wander(times, 0.25, random))
    blink = _blinks(times, jumps, strength * feeling.wide, random)
    raised = strength * feeling.raised
    furrowed = strength * feeling.furrowed
    brows = _brows(times, voice, raised, furrowed, random)
    smile = strength * feeling.smile + 0.1 * _wander(times, 0.3, random)
    return Performance(
        times=times,
        mouth=mouth,
        pose=pose,
        translation=translation,
        scale=scale,
        gaze=gaze,
        blink=blink,
        brows=brows,
        smile=smile.clip(-1, 1),
    )


def _wander(times: Track, rate: float, random: np.random.Generator) -> Track:
    """Return a smooth random course of deviation about 1.

    Args:
      times: times of the frames, in seconds.
      rate: mean frequency of its turns, in Hz.
      random: generator of frequencies and phases.
    """
    rates = rate * random.uniform(0.3, 1.9, 5)
    phases = random.uniform(0, 2 * np.pi, 5)
    waves = np.sin(2 * np.pi * np.outer(times, rates) + phases)
    # Five sines of deviation sqrt(1/2) each.
    return np.sqrt(2 / 5) * waves.sum(axis=1)


def _wander_axes(
    times: Track,
    rate: float,
    deviations: tuple[float, ...],
    random: np.random.Generator,
) -> Float[np.ndarray, "f k"]:
    """Return a random course for each of several axes."""
    courses = [_wander(times, rate, random) for _ in deviations]
    return np.stack(courses, axis=1) * deviations


def _smooth(values: Track, deviation: float) -> Track:
    """Smooth by a gaussian whose deviation is in seconds."""
    kernel = (0, 0)  # the size follows from the deviation
    smoothed = cv2.GaussianBlur(
        values[None], kernel, deviation * FPS, borderType=cv2.BORDER_REPLICATE
    )
    return smoothed[0]


def _head_pose(
    times: Track, voice: Track, random: np.random.Generator
) -> Float[np.ndarray, "f 3"]:
    """Return a head that wanders around a mean pose, and nods with the voice.

    Returns:
      Pitch, yaw and roll in degrees.
    """
    mean = random.normal(0, 1, 3).clip(-2, 2) * (3.0, 6.0, 1.5)
    slow = _wander_axes(times, 0.3, (2.2, 4.0, 1.6), random)
    fast = _wander_axes(times, 1.3, (0.6, 0.9, 0.5), random)
    nod_axes = (
        -random.uniform(3, 8),
        random.normal(0, 1.5),
        random.normal(0, 1),
    )
    nod = np.outer(voice - voice.mean(), nod_axes)
    # A loud voice makes the head lively.
    liveliness = (0.3 + voice)[:, None]
    return mean + slow + fast * liveliness + nod


def _gaze(
    times: Track, pose: Float[np.ndarray, "f 3"], random: np.random.Generator
) -> tuple[Float[np.ndarray, "f 2"], list[float]]:
    """Return eyes that look at the viewer or a little aside, in jumps.

    Returns:
      Gaze to the right and down in degrees, and the times of wide jumps.
    """
    target = np.zeros((len(times), 2))
    jumps = []
    clock = 0.0
    place = np.zeros(2)
    while clock < times[-1]:
        stay = random.uniform(*FIXATION)
        aside = random.random() < 0.4
        spread = np.array([9.0, 4.0]) if aside else 1.2
        next_place = random.normal(0, 1, 2) * spread
        step = next_place - place
        if np.abs(step).max() > WIDE_JUMP:
            jumps.append(clock)
        target += np.outer(smoothstep(clock, clock + SACCADE, times), step)
        place = next_place
        clock = clock + stay
    # Eyes turn against the head to stay on the viewer.
    against = np.stack([-pose[:, 1], pose[:, 0]], axis=1)
    return (target + FOLLOWING * against).clip(*GAZE_LIMITS), jumps


def _blinks(
    times: Track, jumps: list[float], wide: float, random: np.random.Generator
) -> Track:
    """Return lids that shut at random times, and at some wide jumps of the eyes.

    Args:
      times: times of the frames, in seconds.
      jumps: times of wide jumps.
      wide: opening between blinks; negative narrows the eyes.
      random: generator of the times.
    """
    starts = [jump for jump in jumps if random.random() < BLINK_AT_JUMP]
    clock = random.exponential(BLINK_INTERVAL)
    while clock < times[-1]:
        starts.append(clock)
        clock += BLINK_REST + random.exponential(BLINK_INTERVAL - BLINK_REST)
    shut = np.zeros(len(times))
    for start in starts:
        middle = start + BLINK_SHUT
        down = smoothstep(start, middle, times)
        up = smoothstep(middle, middle + BLINK_OPEN, times)
        shut = np.maximum(shut, down - up)
    rest = -wide if wide > 0 else -NARROW * wide
    return rest + shut * (1 - rest)


def _brows(
    times: Track,
    voice: Track,
    raised: float,
    furrowed: float,
    random: np.random.Generator,
) -> Float[np.ndarray, "f 2"]:
    """Return brows that rise with the voice.

    Args:
      times: times of the frames, in seconds.
      voice: loudness, 0 to 1.
      raised, furrowed: share of the emotion.
      random: generator of their wandering.
    """
    lift = raised + 0.16 * _wander(times, 0.5, random) + 0.3 * (voice - 0.3)
    frown = furrowed + 0.07 * _wander(times, 0.3, random)
    return np.stack([lift, frown], axis=1).clip(-1, 1.2)
