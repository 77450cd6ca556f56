"""PyTorch checkpoints of LivePortrait, Whisper and the audio-driven LivePortrait -> one
jaxportrait checkpoint."""

from jaxportrait.console.extras import catch_missing_packages

catch_missing_packages()
