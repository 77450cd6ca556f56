"""`PROGRAM | python examples/resample.py`: sound of any form on stdin -> 16 kHz mono
samples of 16 bits on stdout, as they come."""

import sys

import av

resampler = av.AudioResampler("s16", "mono", 16_000)
with av.open(sys.stdin.buffer, "r") as speech:
    for frame in speech.decode(audio=0):
        for piece in resampler.resample(frame):
            sys.stdout.buffer.write(piece.to_ndarray().tobytes())
for piece in resampler.resample(None):
    sys.stdout.buffer.write(piece.to_ndarray().tobytes())
