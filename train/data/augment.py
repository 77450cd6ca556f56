"""Augmentation of sound: the rooms, noises and levels of recordings that are not of a
studio.

The direct sound of a room comes at once, so that lips stay on time. All of it is a
function of a key: no worker and no order of the work changes a sample.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, PRNGKeyArray
from scipy.fft import next_fast_len

from jaxportrait.features.base import Stream
from jaxportrait.ops.spectrogram import SAMPLE_RATE
from jaxportrait.ranges import OptionError, Range, Share, check_ranges

DECAY = float(np.log(1000))
"""After the reverberation time, the sound of a room is 60 dB quieter: a thousandth."""
LOWEST_NOISE = 50.0
"""Hertz below which noise has nothing, so that its power is heard."""
STEEPEST_NOISE = 2.0
"""Exponent of brown noise, whose power falls as the square of the frequency."""
STRETCH = 30 * SAMPLE_RATE
"""Samples of a long recording that share a room and a noise."""

Decibels = Annotated[float, Range(-60, 60)]
Seconds = Annotated[float, Range(0.05, 3)]


@dataclass(frozen=True)
class SoundAugmentation:
    """Ranges from which augmentation of sound is drawn, evenly.

    Attributes:
      gain: change of the level, in decibels; a sound beyond full scale is made quieter.
      noise: share of sounds with noise, from white to brown.
      signal_to_noise: power of the sound over that of the noise, in decibels.
      reverberation: share of sounds in a room.
      decay: seconds in which the sound of a room falls by 60 decibels.
      direct: energy of the direct sound over that of the room, in decibels.
    """

    gain: tuple[Decibels, Decibels] = (-12.0, 6.0)
    noise: Share = 0.7
    signal_to_noise: tuple[Decibels, Decibels] = (5.0, 30.0)
    reverberation: Share = 0.5
    decay: tuple[Seconds, Seconds] = (0.2, 0.8)
    direct: tuple[Decibels, Decibels] = (0.0, 12.0)

    def __post_init__(self) -> None:
        check_ranges(self)
        for name in ("gain", "signal_to_noise", "decay", "direct"):
            low, high = getattr(self, name)
            if low > high:
                raise OptionError(
                    f"{name} is {low:g} to {high:g}: name the smaller value first"
                )


def augment_sound(
    key: PRNGKeyArray,
    samples: Float[Array, " n"],
    count: Int[Array, ""] | int,
    options: SoundAugmentation,
) -> Float[Array, " n"]:
    """Return sound as another room, with another noise, at another level.

    Args:
      key: key of the sound.
      samples: 16-kHz sound.
      count: samples that belong to the sound; the others stay 0.
      options: ranges of what is drawn.
    """
    keys = jax.random.split(key, 7)
    is_sound = jnp.arange(samples.size) < count
    dry = jnp.where(is_sound, samples, 0.0)
    # The room leaves the power of the sound as it is.
    taps = round(options.decay[1] * SAMPLE_RATE)
    decay = _between(keys[0], options.decay)
    room = impulse_response(keys[1], decay, _between(keys[2], options.direct), taps)
    wet = jnp.where(is_sound, convolve(dry, room), 0.0)
    power = _power(dry, count)
    wet *= jnp.sqrt(power / jnp.maximum(_power(wet, count), _SMALLEST))
    has_room, has_noise = jax.random.uniform(keys[3], (2,)) < jnp.array(
        [options.reverberation, options.noise]
    )
    sound = jnp.where(has_room, wet, dry)
    # The noise has the power that the ratio leaves it.
    noise = jnp.where(is_sound, colored_noise(keys[4], samples.size), 0.0)
    ratio = _ratio(_between(keys[5], options.signal_to_noise))
    level = jnp.sqrt(power / (ratio * jnp.maximum(_power(noise, count), _SMALLEST)))
    sound += jnp.where(has_noise, level, 0.0) * noise
    sound *= jnp.sqrt(_ratio(_between(keys[6], options.gain)))
    # Nothing is clipped.
    return sound / jnp.maximum(jnp.max(jnp.abs(sound)), 1.0)


_SMALLEST = 1e-20
"""In place of the power of silence, by which nothing is divided."""


def impulse_response(
    key: PRNGKeyArray,
    decay: Float[Array, ""] | float,
    direct: Float[Array, ""] | float,
    taps: int,
) -> Float[Array, " taps"]:
    """Return the response of a room: the direct sound, and noise that decays.

    Args:
      key: key of the noise.
      decay: seconds in which the noise falls by 60 dB.
      direct: energy of the direct sound over that of the noise, in dB.
      taps: samples of the response.

    Source: Polack's statistical model of late reverberation ("La transmission de
    l'énergie sonore dans les salles", 1988).
    """
    time = jnp.arange(taps, dtype=jnp.float32) / SAMPLE_RATE
    tail = jax.random.normal(key, (taps,)) * jnp.exp(-DECAY * time / decay)
    # The first sample is that of the direct sound.
    tail = tail.at[0].set(0.0)
    energy = jnp.sum(jnp.square(tail))
    return (tail / jnp.sqrt(energy * _ratio(direct))).at[0].set(1.0)


def convolve(
    samples: Float[Array, " n"], response: Float[Array, " taps"]
) -> Float[Array, " n"]:
    """Return the sound of a room, as long as the sound before."""
    # Zeros at the end, where a circular convolution would wrap around.
    size = next_fast_len(samples.size + response.size - 1, real=True)
    spectrum = jnp.fft.rfft(samples, size) * jnp.fft.rfft(response, size)
    return jnp.fft.irfft(spectrum, size)[: samples.size]


def colored_noise(key: PRNGKeyArray, count: int) -> Float[Array, " count"]:
    """Return noise whose power falls with the frequency f as f^-a, with `a` drawn from 0
    (white) to 2 (brown)."""
    slope, values = jax.random.split(key)
    exponent = jax.random.uniform(slope, maxval=STEEPEST_NOISE)
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE).astype(np.float32)
    is_heard = frequency >= LOWEST_NOISE
    octaves = np.log(np.maximum(frequency, LOWEST_NOISE) / LOWEST_NOISE)
    # The root of the power.
    shape = jnp.where(is_heard, jnp.exp(-exponent / 2 * octaves), 0.0)
    spectrum = jnp.fft.rfft(jax.random.normal(values, (count,)))
    return jnp.fft.irfft(spectrum * shape.astype(spectrum.dtype), count)


def augment_stream(
    stream: Stream, name: str, variant: int, options: SoundAugmentation
) -> Stream:
    """Return a recording as `variant` of its augmentations, in flat memory.

    Every half minute is in another room.

    Args:
      stream: the recording.
      name: name of the recording, which decides what is drawn.
      variant: number of the augmentation, from 0.
      options: ranges of what is drawn.
    """
    recording = jax.random.key(zlib.crc32(name.encode()))
    key = jax.random.fold_in(recording, variant)

    def augmented() -> Iterator[Float32[np.ndarray, " n"]]:
        for index, samples in enumerate(_stretches(stream)):
            # One length, so that one program makes all of them.
            padded = np.zeros(STRETCH, np.float32)
            padded[: samples.size] = samples
            changed = _augment(
                jax.random.fold_in(key, index), padded, samples.size, options
            )
            yield np.asarray(changed)[: samples.size]

    return augmented


_augment = jax.jit(augment_sound, static_argnames="options")


def _stretches(stream: Stream) -> Iterator[Float32[np.ndarray, " n"]]:
    """Yield a recording in stretches of half a minute."""
    buffer = np.zeros(0, np.float32)
    for chunk in stream():
        buffer = np.concatenate([buffer, chunk])
        while buffer.size >= STRETCH:
            yield buffer[:STRETCH]
            buffer = buffer[STRETCH:]
    if buffer.size:
        yield buffer


def _between(key: PRNGKeyArray, bounds: tuple[float, float]) -> Float[Array, ""]:
    low, high = bounds
    return jax.random.uniform(key, minval=low, maxval=high)


def _ratio(decibels: Float[Array, ""] | float) -> Float[Array, ""]:
    """Return the ratio of powers of a number of decibels."""
    return jnp.power(10.0, jnp.asarray(decibels) / 10)


def _power(
    samples: Float[Array, " n"], count: Int[Array, ""] | int
) -> Float[Array, ""]:
    """Return the mean square of the samples that belong to the sound."""
    total = jnp.sum(jnp.square(samples))
    return total / jnp.maximum(count, 1).astype(jnp.float32)
