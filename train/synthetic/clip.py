"""One clip of the data set: chosen, spoken, acted, drawn and written."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from jaxtyping import Float32

from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoWriter
from train.synthetic.identity import Identity, Sex, draw_identity
from train.synthetic.landmarks import COUNT, landmarks
from train.synthetic.motion import EMOTIONS, FPS, LEVELS, Performance, perform
from train.synthetic.scene import Scene
from train.synthetic.sentences import draw_sentence
from train.synthetic.speech import Speech, Voice, draw_voice, speak
from train.synthetic.visemes import closures_of, segments_of

MOST_SENTENCES_A_SECOND = 1.5
SOUND_BIT_RATE = 96_000
UNFINISHED = ".unfinished-"
"""What the folders are called in which clips come into being."""
PERSON, PAINT, FEELING, SPEECH = range(4)
"""What random numbers are for; each purpose has a stream of its own."""


@dataclass(frozen=True)
class ClipPlan:
    """Which clip to make; all that it shows follows from this.

    Attributes:
      seed: of the data set.
      subject, clip: numbers from 0.
      seconds: it lasts at least so long.
      size: of its square pictures.
    """

    seed: int
    subject: int
    clip: int
    seconds: float
    size: int

    def random(self, purpose: int) -> np.random.Generator:
        """A stream of random numbers: of the person's, alike in all clips, or of the
        clip's own."""
        own = (self.clip,) if purpose in (FEELING, SPEECH) else ()
        return np.random.default_rng([self.seed, self.subject, purpose, *own])

    @cached_property
    def person(self) -> tuple[str, Identity, Voice]:
        """Name, looks and voice of the subject."""
        random = self.random(PERSON)
        sex: Sex = "M" if random.random() < 0.5 else "W"
        return (
            f"{sex}{self.subject + 1:03d}",
            draw_identity(sex, random),
            draw_voice(sex, random),
        )

    @cached_property
    def feeling(self) -> tuple[str, int]:
        """Emotion and level; neutral has level 1 alone."""
        random = self.random(FEELING)
        emotion, level = (
            list(EMOTIONS)[int(random.integers(len(EMOTIONS)))],
            int(random.integers(1, LEVELS + 1)),
        )
        return emotion, 1 if emotion == "neutral" else level

    def path(self, root: Path, suffix: str) -> Path:
        """Where MEAD would keep the clip's .mp4 or .m4a; the truth lies beside the
        video."""
        emotion, level = self.feeling
        kind = Path("audio") if suffix == ".m4a" else Path("video", "front")
        return (
            root
            / self.person[0]
            / kind
            / emotion
            / f"level_{level}"
            / f"{self.clip + 1:03d}{suffix}"
        )

    def is_done(self, root: Path) -> bool:
        """Whether the clip is there; its video comes last."""
        return self.path(root, ".mp4").is_file()


def make_clip(plan: ClipPlan, root: Path) -> int:
    """Make a clip; its files appear whole, the video last.

    Returns:
      The number of frames.

    Raises:
      SpeechError: espeak-ng is missing.
      OSError: a file cannot be written.
    """
    with TemporaryDirectory(prefix=UNFINISHED, dir=root) as folder:
        frames = write_clip(plan, Path(folder) / "clip")
        for suffix in (".m4a", ".npz", ".mp4"):
            target = plan.path(root, suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"clip{suffix}").replace(target)
    return frames


def write_clip(plan: ClipPlan, stem: Path) -> int:
    """Write a clip's three files, whose names are `stem` with a suffix; returns the
    number of frames."""
    speech, performance = act(plan)
    scene = Scene(plan.person[1], plan.size, plan.random(PAINT))
    points = np.empty((len(performance), COUNT, 2), np.float32)
    audio = Audio.from_samples(speech.samples, speech.sample_rate)
    size = (plan.size, plan.size)
    with VideoWriter(
        stem.with_suffix(".mp4"), size=size, fps=FPS, audio=audio, encoder="libx264"
    ) as video:
        for frame in range(len(performance)):
            moment = performance.moment(frame)
            video.write(scene.draw(moment))
            points[frame] = landmarks(scene, moment)
    write_sound(stem.with_suffix(".m4a"), speech)
    write_truth(stem.with_suffix(".npz"), plan, speech, performance, points)
    return len(performance)


def act(plan: ClipPlan) -> tuple[Speech, Performance]:
    """The speech of a clip and the motion that goes with it."""
    _, _, voice = plan.person
    random = plan.random(SPEECH)
    count = 1 + round(plan.seconds * MOST_SENTENCES_A_SECOND)
    speech = speak(
        [draw_sentence(random) for _ in range(count)], voice, plan.seconds, random
    )
    return speech, perform(speech, *plan.feeling, random)


def write_truth(
    path: Path,
    plan: ClipPlan,
    speech: Speech,
    performance: Performance,
    points: Float32[np.ndarray, "f 82 2"],
) -> None:
    """Write all that is known of a clip; docs/synthetic.md describes the arrays."""
    subject, _, voice = plan.person
    emotion, level = plan.feeling
    segments = segments_of(speech.phonemes)
    truth = {
        "fps": FPS,
        "size": plan.size,
        "subject": subject,
        "emotion": emotion,
        "level": level,
        "text": speech.text,
        "voice": voice.name,
        **{
            name: getattr(performance, name)
            for name in performance.__dataclass_fields__
        },
        "opening": [
            performance.moment(frame).mouth.opening for frame in range(len(performance))
        ],
        "landmarks": points,
        "phonemes": [each.name for each in speech.phonemes],
        "phoneme_times": [(each.start, each.end) for each in speech.phonemes],
        "visemes": [each.viseme.name for each in segments],
        "viseme_times": [(each.start, each.end) for each in segments],
        "closures": np.reshape(closures_of(speech.phonemes), (-1, 2)),
    }
    np.savez_compressed(
        path,
        allow_pickle=False,
        **{name: np.asarray(value) for name, value in truth.items()},
    )


def write_sound(path: Path, speech: Speech) -> None:
    """Write a mono .m4a (AAC)."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(
            "aac", rate=speech.sample_rate, layout="mono", bit_rate=SOUND_BIT_RATE
        )
        for frame in Audio.from_samples(speech.samples, speech.sample_rate).frames(
            speech.sample_rate, "mono"
        ):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
