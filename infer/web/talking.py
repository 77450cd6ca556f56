"""The tab of talking portraits: a picture and speech make a clip."""

from pathlib import Path

import gradio as gr
from gradio.components import Component

from infer.web.files import Loans
from infer.web.inputs import portrait_input, show_examples
from infer.web.options import Data
from infer.web.speech import SpeechTab
from infer.web.tab import OF_OPENNESS, OF_VIDEOS, STRENGTHS
from jaxportrait import demo


class TalkingTab(SpeechTab):
    """A portrait that speaks."""

    key = "talking"
    button = "Make it speak"

    def place_files(self) -> list[Component]:
        self.portrait = portrait_input(self.key)
        show_examples(self.portrait, demo.PORTRAIT)
        return [self.portrait, self.place_voice()]

    def place_options(self) -> None:
        self.sampling.show("natural_motion")
        self.place_speech(STRENGTHS)
        with gr.Accordion("Composition", open=False):
            # A voice does not say how far eyes and lips open.
            self.motion.show_others(*OF_VIDEOS, *OF_OPENNESS)
        self.place_clip()

    def lend_source(self, data: Data, loans: Loans) -> Path:
        return loans.lend(data[self.portrait], "portrait", "picture")
