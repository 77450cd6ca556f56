"""The tab of lip-sync: the mouth of a video follows other speech."""

import gradio as gr
from gradio.components import Component

from infer.web.files import Loans
from infer.web.inputs import show_examples, video_input, voice_input
from infer.web.options import Data, Form
from infer.web.tab import OF_VIDEOS, ClipTab
from jaxportrait import demo
from jaxportrait.animation import Sampling
from jaxportrait.job import Request


class LipSyncTab(ClipTab):
    """A video whose mouth follows speech."""

    key = "synced"
    button = "Sync the lips"

    def place_files(self) -> list[Component]:
        self.video = video_input(self.key, "Video with a face")
        self.voice = voice_input(self.key)
        show_examples(self.voice, demo.SENTENCE)
        return [self.video, self.voice]

    def place_options(self) -> None:
        self.sampling = Form(Sampling)
        self.whole_face = gr.Checkbox(
            False,
            label="Move the whole face",
            info="Otherwise only the mouth changes.",
        )
        self.files.append(self.whole_face)
        with gr.Accordion("Motion from speech", open=False):
            # The head of a video moves already.
            self.sampling.show_others("natural_motion")
        with gr.Accordion("Strength", open=False):
            self.motion.show("lip_strength", "driving_multiplier")
        with gr.Accordion("Composition", open=False):
            self.motion.show("normalize_lips", *OF_VIDEOS, "stitching")
        with gr.Accordion("Face and video", open=False):
            self.clip.show("face", "output_fps", "max_size", "crf", "side_by_side")

    @property
    def forms(self) -> list[Form]:
        return [self.sampling, *super().forms]

    def request(self, data: Data, loans: Loans) -> Request:
        # Options first: they cost nothing to check.
        sampling = self.sampling.read(data)
        retargeting = self.motion.read(data)
        video = loans.lend(data[self.video], "video", "video")
        voice = loans.lend(data[self.voice], "speech", "sound", "video")
        return Request(
            video,
            voice,
            self.site.place(".mp4"),
            driving_kind="audio",
            lip_sync=not data[self.whole_face],
            sampling=sampling,
            retargeting=retargeting,
            **self.clip.values(data),
        )
