"""A clip of the data set: chosen, spoken, acted, drawn and written."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float32

from jaxportrait.media.audio import Audio
from jaxportrait.media.write import VideoWriter
from jaxportrait.whole import write_whole
from train.synthetic.identity import Identity, Sex, draw_identity
from train.synthetic.landmarks import COUNT, GROUP_NAMES, landmarks
from train.synthetic.motion import ALL_EMOTIONS, FPS, LEVELS, Performance, perform
from train.synthetic.scene import Scene
from train.synthetic.sentences import draw_sentence
from train.synthetic.speech import Speech, Voice, draw_voice, speak
from train.synthetic.visemes import closures_of, segments_of

MOST_SENTENCES_A_SECOND = 1.5
SOUND_BIT_RATE = 96_000
SUFFIXES = (".mp4", ".m4a", ".npz")
"""Suffixes of a clip's video, sound and truth."""
PERSON, PAINT, FEELING, SPEECH = range(4)
"""Purposes of random numbers; each has its own stream."""


@dataclass(frozen=True)
class ClipPlan:
    """Request for a clip; its content follows from these numbers only.

    Attributes:
      seed: seed of the data set.
      subject, clip: numbers from 0.
      seconds: least length.
      size: side of its square pictures, in pixels.
      emotions: emotions that the clip's is drawn from.
    """

    seed: int
    subject: int
    clip: int
    seconds: float
    size: int
    emotions: tuple[str, ...] = ALL_EMOTIONS

    def random(self, purpose: int) -> np.random.Generator:
        """Return a stream of random numbers.

        Streams of looks are the same in all clips of a person; streams of feeling and
        speech belong to one clip.
        """
        key = [self.seed, self.subject, purpose]
        # Looks belong to the person, and so to no clip.
        if purpose in (FEELING, SPEECH):
            key.append(self.clip)
        return np.random.default_rng(key)

    @cached_property
    def person(self) -> tuple[str, Identity, Voice]:
        """Name, looks and voice of the subject."""
        random = self.random(PERSON)
        sex: Sex = "M" if random.random() < 0.5 else "W"
        identity = draw_identity(sex, random)
        voice = draw_voice(sex, random)
        return f"{sex}{self.subject + 1:03d}", identity, voice

    @cached_property
    def feeling(self) -> tuple[str, int]:
        """Emotion and level; neutral has level 1 only."""
        random = self.random(FEELING)
        emotion = self.emotions[int(random.integers(len(self.emotions)))]
        level = int(random.integers(1, LEVELS + 1))
        return emotion, 1 if emotion == "neutral" else level

    def path(self, root: Path, suffix: str) -> Path:
        """Return MEAD's place for the clip's .mp4 or .m4a.

        The truth, .npz, lies beside the video.
        """
        name, _, _ = self.person
        emotion, level = self.feeling
        kind = Path("audio") if suffix == ".m4a" else Path("video", "front")
        folder = root / name / kind / emotion / f"level_{level}"
        return folder / f"{self.clip + 1:03d}{suffix}"

    def is_done(self, root: Path) -> bool:
        """Return True if the clip is there; its video appears last."""
        return self.path(root, ".mp4").is_file()


def make_clip(plan: ClipPlan, root: Path) -> int:
    """Make a clip below `root`; its files appear whole, the video last.

    Returns:
      The number of frames.

    Raises:
      SpeechError: espeak-ng is missing.
      OSError: a file cannot be written.
    """
    video, sound, truth = (plan.path(root, suffix) for suffix in SUFFIXES)
    for path in (video, sound):
        path.parent.mkdir(parents=True, exist_ok=True)
    speech, performance = act(plan)
    audio = Audio.from_samples(speech.samples, speech.sample_rate)
    size = (plan.size, plan.size)
    # The video appears when its block ends, after the others: it marks a clip as done.
    with VideoWriter(
        video, size=size, fps=FPS, audio=audio, encoder="libx264"
    ) as writer:
        points = draw_frames(plan, performance, writer)
        write_sound(sound, speech)
        write_truth(truth, truth_of(plan, speech, performance, points))
    return len(performance)


def draw_frames(
    plan: ClipPlan, performance: Performance, writer: VideoWriter
) -> Float32[np.ndarray, "f 82 2"]:
    """Write the frames of a clip, and return the landmarks of each, in pixels."""
    _, identity, _ = plan.person
    scene = Scene(identity, plan.size, plan.random(PAINT))
    points = np.empty((len(performance), COUNT, 2), np.float32)
    for frame in range(len(performance)):
        moment = performance.moment(frame)
        writer.write(scene.draw(moment))
        points[frame] = landmarks(scene, moment)
    return points


def act(plan: ClipPlan) -> tuple[Speech, Performance]:
    """Return the speech of a clip and the motion that belongs to it."""
    _, _, voice = plan.person
    emotion, level = plan.feeling
    random = plan.random(SPEECH)
    # More sentences than fit: speaking stops at the length.
    count = 1 + round(plan.seconds * MOST_SENTENCES_A_SECOND)
    sentences = [draw_sentence(random) for _ in range(count)]
    speech = speak(sentences, voice, plan.seconds, random)
    return speech, perform(speech, emotion, level, random)


def truth_of(
    plan: ClipPlan,
    speech: Speech,
    performance: Performance,
    points: Float32[np.ndarray, "f 82 2"],
) -> dict[str, np.ndarray]:
    """Return the truth of a clip by name; docs/synthetic.md describes the arrays.

    Args:
      plan: the clip.
      speech: its sound.
      performance: its motion.
      points: landmarks of every frame, in pixels.
    """
    subject, _, voice = plan.person
    emotion, level = plan.feeling
    moments = [performance.moment(frame) for frame in range(len(performance))]
    segments = segments_of(speech.phonemes)
    truth = {
        "fps": FPS,
        "size": plan.size,
        "subject": subject,
        "emotion": emotion,
        "level": level,
        "text": speech.text,
        "voice": voice.name,
    }
    for item in fields(performance):
        truth[item.name] = getattr(performance, item.name)
    truth |= {
        "opening": [moment.mouth.opening for moment in moments],
        "landmarks": points,
        "landmark_groups": GROUP_NAMES,
        "phonemes": [phoneme.name for phoneme in speech.phonemes],
        "phoneme_times": [(sound.start, sound.end) for sound in speech.phonemes],
        "visemes": [segment.viseme.name for segment in segments],
        "viseme_times": [(segment.start, segment.end) for segment in segments],
        # A clip without closures has an array of no rows.
        "closures": np.reshape(closures_of(speech.phonemes), (-1, 2)),
    }
    return {name: np.asarray(value) for name, value in truth.items()}


def write_truth(path: Path, truth: Mapping[str, np.ndarray]) -> None:
    """Write an .npz of arrays."""
    # An open file, since NumPy would append `.npz` to other names.
    with write_whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **truth)


def write_sound(path: Path, speech: Speech) -> None:
    """Write a mono .m4a (AAC)."""
    audio = Audio.from_samples(speech.samples, speech.sample_rate)
    rate = speech.sample_rate
    with (
        write_whole(path) as partial,
        av.open(str(partial), "w", format="mp4") as container,
    ):
        stream = container.add_stream(
            "aac", rate=rate, layout="mono", bit_rate=SOUND_BIT_RATE
        )
        for frame in audio.frames(rate, "mono"):
            container.mux(stream.encode(frame))
        # An empty call flushes the encoder.
        container.mux(stream.encode(None))
