"""The tab of lip-sync: the mouth of a video follows other speech."""

from pathlib import Path

import gradio as gr
from gradio.components import Component

from infer.web.files import Loans
from infer.web.inputs import video_input
from infer.web.options import Data
from infer.web.speech import SpeechTab
from infer.web.tab import OF_VIDEOS


class LipSyncTab(SpeechTab):
    """A video whose mouth follows speech."""

    key = "synced"
    button = "Sync the lips"

    def place_files(self) -> list[Component]:
        self.video = video_input(self.key, "Video with a face")
        return [self.video, self.place_voice()]

    def place_options(self) -> None:
        self.whole_face = gr.Checkbox(
            False,
            label="Move the whole face",
            info="Otherwise only the mouth changes.",
        )
        self.files.append(self.whole_face)
        # The head of a video moves already.
        self.place_speech(["lip_strength"], without=["natural_motion"])
        with gr.Accordion("Composition", open=False):
            self.motion.show("normalize_lips", *OF_VIDEOS, "stitching")
        self.place_clip()

    def lip_sync(self, data: Data) -> bool:
        return not data[self.whole_face]

    def lend_source(self, data: Data, loans: Loans) -> Path:
        return loans.lend(data[self.video], "video", "video")
