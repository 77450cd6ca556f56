"""`python espeak.py < request`: one run of espeak-ng, in a process of its own.

The synthesiser's noise continues from one text to the next, so that only a fresh
process speaks the same text the same way.

Reads a JSON object {sentences, voice, speed, pitch, seconds}. Writes a line of JSON,
{rate, sentences: [{text, samples, phonemes: [[name, first sample], ...]}]}, then the
samples, 16 bits each.
"""

import ctypes
import json
import sys
from typing import Any

# Constants of espeak-ng's speak_lib.h, except for the first and the last.
LIBRARIES = ("libespeak-ng.so.1", "libespeak-ng.1.dylib", "libespeak-ng.dll")
RETRIEVAL = 1
"""AUDIO_OUTPUT_RETRIEVAL: samples go to the callback."""
PHONEME_EVENTS = 1 << 0
PHONEME_IPA = 1 << 1
DONT_EXIT = 1 << 15
END_OF_EVENTS = 0
PHONEME = 7
RATE = 1
PITCH = 3
CHARACTERS = 1
UTF8 = 1
MISSING = 3
"""Exit status if there is no such library."""


class _Name(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng's speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def open_library() -> ctypes.CDLL | None:
    """Load espeak-ng, if the system has it."""
    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def speak(library: ctypes.CDLL, text: str) -> tuple[bytes, list[tuple[str, int]]]:
    """Speak a text.

    Returns:
      Samples, and phonemes with the sample each starts at; a phoneme without a name is
      a pause.
    """
    samples = bytearray()
    phonemes = list[tuple[str, int]]()

    # espeak-ng calls this with every piece of sound; 0 asks for the next piece.
    def receive(wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            samples.extend(ctypes.string_at(wave, 2 * count))
        index = 0
        while events[index].type != END_OF_EVENTS:
            event = events[index]
            if event.type == PHONEME:
                name = event.id.string.decode(errors="ignore")
                phonemes.append((name, event.sample))
            index += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, CHARACTERS, 0, UTF8, None, None)
    library.espeak_Synchronize()
    return bytes(samples), phonemes


def main() -> None:
    request = json.load(sys.stdin)
    library = open_library()
    if library is None:
        sys.exit(MISSING)
    options = PHONEME_EVENTS | PHONEME_IPA | DONT_EXIT
    rate = library.espeak_Initialize(RETRIEVAL, 0, None, options)
    if rate <= 0 or library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        sys.exit(
            f"espeak-ng has no voice {request['voice']}, or no data: install the Debian package espeak-ng whole"
        )
    library.espeak_SetParameter(RATE, request["speed"], 0)
    library.espeak_SetParameter(PITCH, request["pitch"], 0)
    spoken = []
    samples = bytearray()
    for sentence in request["sentences"]:
        # Two bytes a sample.
        if len(samples) >= 2 * rate * request["seconds"]:
            break
        piece, phonemes = speak(library, sentence)
        samples += piece
        count = len(piece) // 2
        spoken.append({"text": sentence, "samples": count, "phonemes": phonemes})
    answer = {"rate": rate, "sentences": spoken}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + samples)


if __name__ == "__main__":
    main()
