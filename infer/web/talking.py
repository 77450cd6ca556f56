"""The tab of talking portraits: a picture and speech make a clip."""

import gradio as gr
from gradio.components import Component

from infer.web.files import Loans
from infer.web.inputs import portrait_input, show_examples, voice_input
from infer.web.options import Data, Form
from infer.web.tab import OF_OPENNESS, OF_VIDEOS, STRENGTHS, ClipTab
from jaxportrait import demo
from jaxportrait.animation import Sampling
from jaxportrait.job import Request


class TalkingTab(ClipTab):
    """A portrait that speaks."""

    key = "talking"
    button = "Make it speak"

    def place_files(self) -> list[Component]:
        self.portrait = portrait_input(self.key)
        show_examples(self.portrait, demo.PORTRAIT)
        self.voice = voice_input(self.key)
        show_examples(self.voice, demo.SENTENCE)
        return [self.portrait, self.voice]

    def place_options(self) -> None:
        self.sampling = Form(Sampling)
        self.sampling.show("natural_motion")
        with gr.Accordion("Motion from speech", open=False):
            self.sampling.show_others()
        with gr.Accordion("Strength", open=False):
            self.motion.show(*STRENGTHS, "driving_multiplier")
        with gr.Accordion("Composition", open=False):
            # A voice does not say how far eyes and lips open.
            self.motion.show_others(*OF_VIDEOS, *OF_OPENNESS)
        with gr.Accordion("Face and video", open=False):
            self.clip.show("face", "output_fps", "max_size", "crf", "side_by_side")

    @property
    def forms(self) -> list[Form]:
        return [self.sampling, *super().forms]

    def request(self, data: Data, loans: Loans) -> Request:
        # Options first: they cost nothing to check.
        sampling = self.sampling.read(data)
        retargeting = self.motion.read(data)
        portrait = loans.lend(data[self.portrait], "portrait", "picture")
        voice = loans.lend(data[self.voice], "speech", "sound", "video")
        return Request(
            portrait,
            voice,
            self.site.place(".mp4"),
            # Of a video, only the sound is used.
            driving_kind="audio",
            sampling=sampling,
            retargeting=retargeting,
            **self.clip.values(data),
        )
