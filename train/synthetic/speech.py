"""Speech by espeak-ng, with the time of every phoneme."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from jaxtyping import Float, Float32

from train.synthetic import espeak

VOICES = {
    "M": (
        "en-us",
        "en-gb-x-rp",
        "en-gb-scotland",
        "en-029",
        "en-us+m1",
        "en-us+m3",
        "en+m7",
        "en-us-nyc+m2",
    ),
    "W": (
        "en-us+f1",
        "en-us+f2",
        "en-us+f3",
        "en-us+f4",
        "en+f2",
        "en-gb-x-rp+f4",
        "en-gb-scotland+f3",
        "en-029+f2",
    ),
}
SPEED = (130, 185)  # words a minute
PITCH = (35, 65)  # of espeak-ng's 0 to 99
LEAD = (0.15, 0.4)  # seconds of silence before the first word
PAUSE = (0.1, 0.5)  # and after each sentence
MISSING_ESPEAK = "espeak-ng is not installed: apt-get install espeak-ng (or your system's package of that name)"
LEVEL = 0.7  # of full scale


class SpeechError(OSError):
    """espeak-ng is missing, or could not speak."""


@dataclass(frozen=True)
class Voice:
    """How a person speaks.

    Attributes:
      name: of an espeak-ng voice with its variant.
      speed: words a minute.
      pitch: 0 to 99.
    """

    name: str
    speed: int
    pitch: int


@dataclass(frozen=True)
class Phoneme:
    """A sound of speech, or a pause where the name is empty.

    Attributes:
      name: in the IPA, as espeak-ng writes it.
      start, end: seconds from the start of the clip.
    """

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """What is heard in a clip.

    Attributes:
      text: what is said.
      samples: floats in [-1, 1].
      sample_rate: in Hz.
      phonemes: from the first to the last moment of the clip, without gaps.
    """

    text: str
    samples: Float32[np.ndarray, " n"]
    sample_rate: int
    phonemes: tuple[Phoneme, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate

    def loudness(
        self, times: Float[np.ndarray, " f"], window: float = 0.05
    ) -> Float[np.ndarray, " f"]:
        """Root mean square around some times, 1 at the loudest of them."""
        energy = np.concatenate(
            [[0.0], np.cumsum(np.square(self.samples, dtype=np.float64))]
        )
        low, high = (
            np.clip(np.rint((times + side) * self.sample_rate), 0, len(self.samples))
            for side in (-window / 2, window / 2)
        )
        level = np.sqrt(
            (energy[high.astype(int)] - energy[low.astype(int)])
            / np.maximum(high - low, 1)
        )
        return level / max(level.max(), 1e-9)


def draw_voice(sex: str, random: np.random.Generator) -> Voice:
    """Choose how a person sounds."""
    name = VOICES[sex][int(random.integers(len(VOICES[sex])))]
    return Voice(name, int(random.integers(*SPEED)), int(random.integers(*PITCH)))


def speak(
    sentences: Sequence[str], voice: Voice, seconds: float, random: np.random.Generator
) -> Speech:
    """Speak whole sentences until there are at least so many seconds, with pauses
    before, between and after them.

    Raises:
      SpeechError: espeak-ng is not installed, or refuses.
    """
    rate, said, samples = _run_espeak(sentences, voice, seconds)
    pieces, phonemes, clock = [], list[Phoneme](), 0
    for begin, sentence in zip(_starts(said), said, strict=True):
        rest = round(rate * random.uniform(*(PAUSE if pieces else LEAD)))
        phonemes.append(Phoneme("", clock / rate, (clock + rest) / rate))
        phonemes += _timed(sentence, clock + rest, rate)
        pieces += [
            np.zeros(rest, np.float32),
            samples[begin : begin + sentence["samples"]],
        ]
        clock += rest + sentence["samples"]
    rest = round(rate * random.uniform(*PAUSE))
    joined = np.concatenate([*pieces, np.zeros(rest, np.float32)])
    joined *= LEVEL / max(float(np.abs(joined).max()), 1e-9)
    phonemes.append(Phoneme("", clock / rate, (clock + rest) / rate))
    return Speech(
        " ".join(sentence["text"] for sentence in said), joined, rate, tuple(phonemes)
    )


def _starts(said: Sequence[dict]) -> list[int]:
    """The sample at which each sentence begins."""
    return [0, *accumulate(sentence["samples"] for sentence in said[:-1])]


def _timed(sentence: dict, offset: int, rate: int) -> list[Phoneme]:
    """Phonemes of a sentence that begins at a sample; each lasts until the next one
    starts."""
    names, starts = zip(*sentence["phonemes"], strict=True)
    spans = pairwise((*starts, sentence["samples"]))
    return [
        Phoneme(name, (offset + start) / rate, (offset + end) / rate)
        for name, (start, end) in zip(names, spans, strict=True)
        if end > start
    ]


def _run_espeak(
    sentences: Sequence[str], voice: Voice, seconds: float
) -> tuple[int, list[dict], Float32[np.ndarray, " n"]]:
    request = {
        "sentences": list(sentences),
        "voice": voice.name,
        "speed": voice.speed,
        "pitch": voice.pitch,
        "seconds": seconds,
    }
    command = [sys.executable, "-I", espeak.__file__]
    run = subprocess.run(
        command, input=json.dumps(request).encode(), capture_output=True, check=False
    )
    if run.returncode == espeak.MISSING:
        raise SpeechError(MISSING_ESPEAK)
    if run.returncode:
        raise SpeechError(
            f"espeak-ng could not speak with voice {voice.name}: {run.stderr.decode().strip()}"
        )
    head, _, body = run.stdout.partition(b"\n")
    answer = json.loads(head)
    return (
        answer["rate"],
        answer["sentences"],
        np.frombuffer(body, "<i2").astype(np.float32) / 32768,
    )
