"""Features of sound for drivers.

base: the interface of extractors. registry: extractors by audio encoder.
spectrogram, blocks: the log-mel spectrogram, or Whisper's encoder on its blocks.
waveform: HuBERT and wav2vec 2.0. chunks, onnx: Ditto's, an ONNX file of the user.
"""
