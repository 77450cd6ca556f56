"""Tabs in which speech moves the lips."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import gradio as gr
from gradio.components import Component

from infer.web.files import Loans
from infer.web.inputs import show_examples, voice_input
from infer.web.options import Data, Form
from infer.web.site import Chooser, Site
from infer.web.tab import ClipTab
from jaxportrait import demo
from jaxportrait.animation import Sampling
from jaxportrait.job import Request

OF_EMOTIONS = ("emotion", "emotion_strength")
"""Options of drivers that know emotions."""


class SpeechTab(ClipTab):
    """A source that speaks.

    Attributes:
      voice: input of the speech.
      sampling: options of the driver.
    """

    def __init__(self, site: Site, chooser: Chooser):
        self.sampling = Form(Sampling, {"emotion": site.models.emotions})
        super().__init__(site, chooser)

    @abstractmethod
    def lend_source(self, data: Data, loans: Loans) -> Path:
        """Return the file of the source, which the job deletes."""

    def lip_sync(self, data: Data) -> bool | None:
        """Return whether only the mouth changes; None for a picture."""
        return None

    def place_voice(self) -> Component:
        """Place the input of the speech, and return it."""
        self.voice = voice_input(self.key)
        show_examples(self.voice, demo.SENTENCE)
        return self.voice

    def place_speech(
        self, strengths: Sequence[str], without: Sequence[str] = ()
    ) -> None:
        """Place the options of the driver, and how strong its motion is.

        Args:
          without: options of the driver that have no place here.
        """
        # No option for what no model knows.
        unknown = () if self.site.models.emotions else OF_EMOTIONS
        with gr.Accordion("Motion from speech", open=False):
            self.sampling.show_others(*without, *unknown)
        with gr.Accordion("Strength", open=False):
            self.motion.show(*strengths, "driving_multiplier")

    @property
    def forms(self) -> list[Form]:
        return [self.sampling, *super().forms]

    def request(self, data: Data, loans: Loans) -> Request:
        # Options first: they cost nothing to check.
        sampling = self.sampling.read(data)
        retargeting = self.motion.read(data)
        source = self.lend_source(data, loans)
        voice = loans.lend(data[self.voice], "speech", "sound", "video")
        return Request(
            source,
            voice,
            self.site.place(".mp4"),
            # Of a video, only the sound is used.
            driving_kind="audio",
            lip_sync=self.lip_sync(data),
            sampling=sampling,
            retargeting=retargeting,
            **self.clip.values(data),
        )
