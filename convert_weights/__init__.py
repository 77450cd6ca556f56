"""PyTorch checkpoints of LivePortrait, Whisper and the audio-driven LivePortrait -> one
jaxportrait checkpoint."""

from jaxportrait.console.extras import guard_imports

guard_imports()
