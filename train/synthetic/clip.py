"""A clip of the data set: chosen, spoken, acted, drawn and written."""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from jaxtyping import Float32

from jaxportrait.media.audio import Audio
from jaxportrait.media.write import VideoWriter
from train.synthetic.identity import Identity, Sex, draw_identity
from train.synthetic.landmarks import COUNT, GROUP_NAMES, landmarks
from train.synthetic.motion import EMOTIONS, FPS, LEVELS, Performance, perform
from train.synthetic.scene import Scene
from train.synthetic.sentences import draw_sentence
from train.synthetic.speech import Speech, Voice, draw_voice, speak
from train.synthetic.visemes import closures_of, segments_of

MOST_SENTENCES_A_SECOND = 1.5
SOUND_BIT_RATE = 96_000
UNFINISHED = ".unfinished-"
"""Prefix of the folders in which clips are made."""
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
    """

    seed: int
    subject: int
    clip: int
    seconds: float
    size: int

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
        emotions = list(EMOTIONS)
        emotion = emotions[int(random.integers(len(emotions)))]
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
        """Return True if the clip is there; its video is moved in last."""
        return self.path(root, ".mp4").is_file()


def make_clip(plan: ClipPlan, root: Path) -> int:
    """Make a clip below `root`; its files appear whole, the video last.

    Returns:
      The number of frames.

    Raises:
      SpeechError: espeak-ng is missing.
      OSError: a file cannot be written.
    """
    with TemporaryDirectory(prefix=UNFINISHED, dir=root) as folder:
        frames = write_clip(plan, Path(folder) / "clip")
        # The video is moved last: it marks a clip that is done.
        for suffix in (".m4a", ".npz", ".mp4"):
            target = plan.path(root, suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"clip{suffix}").replace(target)
    return frames


def write_clip(plan: ClipPlan, stem: Path) -> int:
    """Write a clip's three files, whose names are `stem` with a suffix.

    Returns:
      The number of frames.
    """
    speech, performance = act(plan)
    _, identity, _ = plan.person
    scene = Scene(identity, plan.size, plan.random(PAINT))
    points = np.empty((len(performance), COUNT, 2), np.float32)
    audio = Audio.from_samples(speech.samples, speech.sample_rate)
    with VideoWriter(
        stem.with_suffix(".mp4"),
        size=(plan.size, plan.size),
        fps=FPS,
        audio=audio,
        encoder="libx264",
    ) as video:
        for frame in range(len(performance)):
            moment = performance.moment(frame)
            video.write(scene.draw(moment))
            points[frame] = landmarks(scene, moment)
    write_sound(stem.with_suffix(".m4a"), speech)
    truth = truth_of(plan, speech, performance, points)
    np.savez_compressed(stem.with_suffix(".npz"), allow_pickle=False, **truth)
    return len(performance)


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


def write_sound(path: Path, speech: Speech) -> None:
    """Write a mono .m4a (AAC)."""
    audio = Audio.from_samples(speech.samples, speech.sample_rate)
    rate = speech.sample_rate
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(
            "aac", rate=rate, layout="mono", bit_rate=SOUND_BIT_RATE
        )
        for frame in audio.frames(rate, "mono"):
            container.mux(stream.encode(frame))
        # An empty call flushes the encoder.
        container.mux(stream.encode(None))
