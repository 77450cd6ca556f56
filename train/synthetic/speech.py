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
"""Sex -> voices of espeak-ng."""
SPEED = (130, 185)
"""Words a minute."""
PITCH = (35, 65)
"""Pitch in espeak-ng's scale, 0 to 99."""
LEAD = (0.15, 0.4)
"""Seconds of silence before the first word."""
PAUSE = (0.1, 0.5)
"""Seconds of silence after each sentence."""
LEVEL = 0.7
"""Loudest sample of a clip, as a share of full scale."""
MISSING_ESPEAK = "espeak-ng is not installed: apt-get install espeak-ng (or your system's package of that name)"


class SpeechError(OSError):
    """espeak-ng is missing, or could not speak."""


@dataclass(frozen=True)
class Voice:
    """A person's voice.

    Attributes:
      name: espeak-ng voice with its variant.
      speed: words a minute.
      pitch: 0 to 99.
    """

    name: str
    speed: int
    pitch: int


@dataclass(frozen=True)
class Phoneme:
    """A sound of speech, or a pause if the name is empty.

    Attributes:
      name: letters of the IPA, as espeak-ng writes them.
      start, end: seconds from the start of the clip.
    """

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """Sound of a clip.

    Attributes:
      text: spoken text.
      samples: floats in [-1, 1].
      sample_rate: samples a second.
      phonemes: phonemes and pauses, from the first to the last moment without gaps.
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
        """Return the root mean square around some times, 1 at the loudest of them.

        Args:
          times: centers of the windows, in seconds.
          window: length of a window, in seconds.
        """
        # A cumulative sum gives the energy of any window by one difference.
        squares = np.square(self.samples, dtype=np.float64)
        energy = np.concatenate([[0.0], np.cumsum(squares)])
        low = self._index(times - window / 2)
        high = self._index(times + window / 2)
        total = energy[high.astype(int)] - energy[low.astype(int)]
        level = np.sqrt(total / np.maximum(high - low, 1))
        return level / max(level.max(), 1e-9)

    def _index(self, times: Float[np.ndarray, " f"]) -> Float[np.ndarray, " f"]:
        """Return the nearest sample to each time, within the clip."""
        return np.clip(np.rint(times * self.sample_rate), 0, len(self.samples))


def draw_voice(sex: str, random: np.random.Generator) -> Voice:
    """Choose a person's voice."""
    voices = VOICES[sex]
    name = voices[int(random.integers(len(voices)))]
    speed = int(random.integers(*SPEED))
    return Voice(name, speed, pitch=int(random.integers(*PITCH)))


def speak(
    sentences: Sequence[str], voice: Voice, seconds: float, random: np.random.Generator
) -> Speech:
    """Speak whole sentences, with pauses before, between and after them.

    Args:
      sentences: sentences to choose from, in order.
      voice: the person's voice.
      seconds: length from which no further sentence is spoken.
      random: generator of the pauses.

    Raises:
      SpeechError: espeak-ng is not installed, or refuses.
    """
    rate, spoken, samples = _run_espeak(sentences, voice, seconds)
    pieces = []
    phonemes = list[Phoneme]()
    clock = 0  # samples so far
    for begin, sentence in zip(_starts(spoken), spoken, strict=True):
        count = sentence["samples"]
        rest = round(rate * random.uniform(*(PAUSE if pieces else LEAD)))
        phonemes.append(_pause(clock, rest, rate))
        phonemes += _timed(sentence, clock + rest, rate)
        pieces.append(np.zeros(rest, np.float32))
        pieces.append(samples[begin : begin + count])
        clock += rest + count
    rest = round(rate * random.uniform(*PAUSE))
    phonemes.append(_pause(clock, rest, rate))
    joined = np.concatenate([*pieces, np.zeros(rest, np.float32)])
    # Voices differ in loudness: all clips have the same peak.
    joined *= LEVEL / max(float(np.abs(joined).max()), 1e-9)
    text = " ".join(sentence["text"] for sentence in spoken)
    return Speech(text, joined, rate, tuple(phonemes))


def _pause(start: int, count: int, rate: int) -> Phoneme:
    """Return a pause of `count` samples."""
    return Phoneme("", start / rate, (start + count) / rate)


def _starts(spoken: Sequence[dict]) -> list[int]:
    """Return the sample at which each sentence begins."""
    return [0, *accumulate(sentence["samples"] for sentence in spoken[:-1])]


def _timed(sentence: dict, offset: int, rate: int) -> list[Phoneme]:
    """Return the phonemes of a sentence; each lasts until the next one starts.

    Args:
      sentence: phonemes with the sample each starts at, and number of samples.
      offset: sample of the clip at which the sentence begins.
      rate: samples a second.
    """
    names, starts = zip(*sentence["phonemes"], strict=True)
    spans = pairwise((*starts, sentence["samples"]))
    phonemes = []
    for name, (start, end) in zip(names, spans, strict=True):
        # Some phonemes take no time.
        if end > start:
            phonemes.append(
                Phoneme(name, (offset + start) / rate, (offset + end) / rate)
            )
    return phonemes


def _run_espeak(
    sentences: Sequence[str], voice: Voice, seconds: float
) -> tuple[int, list[dict], Float32[np.ndarray, " n"]]:
    """Run espeak-ng in a process of its own.

    Returns:
      Samples a second, the spoken sentences, and their samples one after the other.

    Raises:
      SpeechError: espeak-ng is not installed, or refuses.
    """
    request = {
        "sentences": list(sentences),
        "voice": voice.name,
        "speed": voice.speed,
        "pitch": voice.pitch,
        "seconds": seconds,
    }
    run = subprocess.run(
        # A fault in the C library must not end this process.
        [sys.executable, "-I", espeak.__file__],
        input=json.dumps(request).encode(),
        capture_output=True,
        check=False,
    )
    if run.returncode == espeak.MISSING:
        raise SpeechError(MISSING_ESPEAK)
    if run.returncode:
        raise SpeechError(
            f"espeak-ng could not speak with voice {voice.name}: {run.stderr.decode().strip()}"
        )
    # A line of JSON, then 16-bit samples.
    head, _, body = run.stdout.partition(b"\n")
    answer = json.loads(head)
    samples = np.frombuffer(body, "<i2").astype(np.float32) / 32768
    return answer["rate"], answer["sentences"], samples
