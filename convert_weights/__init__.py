"""PyTorch checkpoints of LivePortrait, Whisper and the audio-driven LivePortrait -> one
jaxportrait checkpoint."""
