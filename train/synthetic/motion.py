"""How a speaker moves: lips, head, eyes, brows and smile, frame by frame."""

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
BLINK_INTERVAL = 3.4  # mean seconds between blinks of a speaker
BLINK_REST = 0.6  # and the least
BLINK_SHUT, BLINK_OPEN = 0.10, 0.20  # seconds to close, and to open again
FIXATION = (0.5, 2.4)  # seconds that the eyes rest on a place
BLINK_AT_JUMP = 0.4  # share of wide jumps of the eyes that come with a blink
NARROW = 0.3  # how far lids are shut by an emotion that narrows them
VOICE_SMOOTHING = 0.12  # seconds: heads do not nod to every syllable
EFFORT = (0.88, 1.12)  # how far mouths move, from clip to clip
SACCADE = 0.05  # seconds of a jump between places


@dataclass(frozen=True)
class Emotion:
    """What an emotion at level 3 adds to a face.

    Attributes:
      smile: -1 to 1. raised, furrowed: brows. wide: of the eyes. pitch: of the head, in
        degrees.
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
LEVELS = 3


@dataclass(frozen=True)
class Performance:
    """A clip's motion.

    Attributes:
      times: of the frames, in seconds.
      mouth: jaw, width, rounding, closure, tongue.
      pose: pitch, yaw and roll in degrees.
      translation: in parts of the picture. scale: of the picture.
      gaze: to the right and down, in degrees relative to the head.
      blink: 0 open to 1 shut, below 0 for wide eyes.
      brows: raised and furrowed.
      smile: -1 to 1.
    """

    times: Float[np.ndarray, " f"]
    mouth: Float[np.ndarray, "f 5"]
    pose: Float[np.ndarray, "f 3"]
    translation: Float[np.ndarray, "f 2"]
    scale: Float[np.ndarray, " f"]
    gaze: Float[np.ndarray, "f 2"]
    blink: Float[np.ndarray, " f"]
    brows: Float[np.ndarray, "f 2"]
    smile: Float[np.ndarray, " f"]

    def __len__(self) -> int:
        return len(self.times)

    def moment(self, frame: int) -> Moment:
        """What one frame shows."""
        (gx, gy), (raised, furrowed), smile = (
            self.gaze[frame].tolist(),
            self.brows[frame].tolist(),
            float(self.smile[frame]),
        )
        jaw, width, rounding, closure, tongue = self.mouth[frame].tolist()
        pitch, yaw, roll = self.pose[frame].tolist()
        dx, dy = self.translation[frame].tolist()
        return Moment(
            Pose((pitch, yaw, roll), (dx, dy), float(self.scale[frame])),
            MouthState(jaw, width, rounding, closure, tongue, smile),
            EyeState(
                (gx, gy), float(self.blink[frame]), raised, furrowed, max(smile, 0.0)
            ),
        )


def perform(
    speech: Speech, emotion: str, level: int, random: np.random.Generator
) -> Performance:
    """Act out a speech.

    Args:
      emotion: of EMOTIONS.
      level: 1 to 3; how strongly it shows.
    """
    feeling, strength = (
        EMOTIONS[emotion],
        1.0 if emotion == "neutral" else level / LEVELS,
    )
    times = np.arange(int(speech.seconds * FPS)) / FPS
    voice = _smooth(speech.loudness(times), VOICE_SMOOTHING)
    pose = _head_pose(times, voice, random) + np.array([strength * feeling.pitch, 0, 0])
    gaze, jumps = _gaze(times, pose, random)
    sway = np.stack([_wander(times, 0.25, random) for _ in range(2)], axis=1) * (
        0.008,
        0.005,
    )
    return Performance(
        times,
        mouth_track(speech.phonemes, times, float(random.uniform(*EFFORT))),
        pose,
        sway + random.uniform(-0.02, 0.02, 2),
        random.uniform(0.94, 1.06) * (1 + 0.012 * _wander(times, 0.25, random)),
        gaze,
        _blinks(times, jumps, strength * feeling.wide, random),
        _brows(
            times, voice, strength * feeling.raised, strength * feeling.furrowed, random
        ),
        (strength * feeling.smile + 0.1 * _wander(times, 0.3, random)).clip(-1, 1),
    )


def _wander(
    times: Float[np.ndarray, " f"], rate: float, random: np.random.Generator
) -> Float[np.ndarray, " f"]:
    """A smooth random course of deviation about 1.

    Args:
      rate: of its turns, in Hz.
    """
    rates = rate * random.uniform(0.3, 1.9, 5)
    phases = random.uniform(0, 2 * np.pi, 5)
    return np.sqrt(2 / 5) * np.sin(2 * np.pi * np.outer(times, rates) + phases).sum(
        axis=1
    )


def _smooth(
    values: Float[np.ndarray, " f"], deviation: float
) -> Float[np.ndarray, " f"]:
    return cv2.GaussianBlur(
        values[None], (0, 0), deviation * FPS, borderType=cv2.BORDER_REPLICATE
    )[0]


def _head_pose(
    times: Float[np.ndarray, " f"],
    voice: Float[np.ndarray, " f"],
    random: np.random.Generator,
) -> Float[np.ndarray, "f 3"]:
    """A head that wanders around where it is held, and nods with the voice."""
    held = random.normal(0, 1, 3).clip(-2, 2) * (3.0, 6.0, 1.5)
    slow = np.stack([_wander(times, 0.3, random) for _ in range(3)], axis=1) * (
        2.2,
        4.0,
        1.6,
    )
    fast = np.stack([_wander(times, 1.3, random) for _ in range(3)], axis=1) * (
        0.6,
        0.9,
        0.5,
    )
    nod = np.outer(
        voice - voice.mean(),
        (-random.uniform(3, 8), random.normal(0, 1.5), random.normal(0, 1)),
    )
    return held + slow + fast * (0.3 + voice)[:, None] + nod


def _gaze(
    times: Float[np.ndarray, " f"],
    pose: Float[np.ndarray, "f 3"],
    random: np.random.Generator,
) -> tuple[Float[np.ndarray, "f 2"], list[float]]:
    """Eyes that look at the viewer or a little aside, in jumps; also the moments of
    wide ones."""
    target, clock, jumps = np.zeros((len(times), 2)), 0.0, []
    place = np.zeros(2)
    while clock < times[-1]:
        stay = random.uniform(*FIXATION)
        aside = random.random() < 0.4
        new = (
            random.normal(0, 1, 2) * (9.0, 4.0)
            if aside
            else random.normal(0, 1, 2) * 1.2
        )
        if np.abs(new - place).max() > 9:
            jumps.append(clock)
        target += np.outer(smoothstep(clock, clock + SACCADE, times), new - place)
        place, clock = new, clock + stay
    held = np.stack(
        [-pose[:, 1], pose[:, 0]], axis=1
    )  # what keeps the eyes on the viewer as the head turns
    return (target + 0.85 * held).clip((-28, -16), (28, 18)), jumps


def _blinks(
    times: Float[np.ndarray, " f"],
    jumps: list[float],
    wide: float,
    random: np.random.Generator,
) -> Float[np.ndarray, " f"]:
    """Lids that shut at random, and at some wide jumps of the eyes, and are else as
    wide as the emotion wants."""
    starts, clock = (
        [jump for jump in jumps if random.random() < BLINK_AT_JUMP],
        random.exponential(BLINK_INTERVAL),
    )
    while clock < times[-1]:
        starts.append(clock)
        clock += BLINK_REST + random.exponential(BLINK_INTERVAL - BLINK_REST)
    shut = np.zeros(len(times))
    for start in starts:
        down = smoothstep(start, start + BLINK_SHUT, times)
        up = smoothstep(start + BLINK_SHUT, start + BLINK_SHUT + BLINK_OPEN, times)
        shut = np.maximum(shut, down - up)
    rest = -wide if wide > 0 else -NARROW * wide
    return rest + shut * (1 - rest)


def _brows(
    times: Float[np.ndarray, " f"],
    voice: Float[np.ndarray, " f"],
    raised: float,
    furrowed: float,
    random: np.random.Generator,
) -> Float[np.ndarray, "f 2"]:
    """Brows that rise with the voice."""
    lift = raised + 0.16 * _wander(times, 0.5, random) + 0.3 * (voice - 0.3)
    frown = furrowed + 0.07 * _wander(times, 0.3, random)
    return np.stack([lift, frown], axis=1).clip(-1, 1.2)
