"""Sound on the host: any file that PyAV decodes, or samples in memory."""

from jaxportrait.media.audio.clip import SAMPLE_RATE, Audio
from jaxportrait.media.audio.clock import Gap
from jaxportrait.media.audio.frames import resample
from jaxportrait.media.audio.mix import mix_audio

__all__ = ["SAMPLE_RATE", "Audio", "Gap", "mix_audio", "resample"]
