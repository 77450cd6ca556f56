"""The tab of driven portraits: a picture moves as a face in a video, or as a template."""

import gradio as gr
from gradio.components import Component

from infer.web.files import Loans
from infer.web.inputs import (
    motion_input,
    portrait_input,
    show_examples,
    video_input,
)
from infer.web.options import Data, Form
from infer.web.tab import OF_VIDEOS, STRENGTHS, ClipTab
from jaxportrait import demo
from jaxportrait.checkpoint import AUTO_DRIVER
from jaxportrait.drivers.video import DrivingCrop
from jaxportrait.driving import makes_picture
from jaxportrait.job import Request


class DrivingTab(ClipTab):
    """A portrait that moves as another face does."""

    key = "driven"
    button = "Make it move"

    def place_files(self) -> list[Component]:
        self.portrait = portrait_input(self.key)
        show_examples(self.portrait, demo.PORTRAIT)
        with gr.Tabs():
            with gr.Tab("Driving video"):
                self.video = video_input(self.key, "Driving video")
            with gr.Tab("Template"):
                self.template = motion_input(self.key)
        return [self.portrait, self.video, self.template]

    def place_options(self) -> None:
        self.crop = Form(DrivingCrop)
        self.motion.show("region")
        with gr.Accordion("Strength", open=False):
            self.motion.show(*STRENGTHS, "driving_multiplier")
        with gr.Accordion("Composition", open=False):
            self.motion.show_others(*OF_VIDEOS)
        with gr.Accordion("Face in the driving video", open=False):
            self.crop.show_others()
        self.place_clip()

    @property
    def forms(self) -> list[Form]:
        return [self.crop, *super().forms]

    def driver(self, data: Data) -> str:
        # No speech drives.
        return AUTO_DRIVER

    def request(self, data: Data, loans: Loans) -> Request:
        # Options first: they cost nothing to check.
        crop = self.crop.read(data)
        retargeting = self.motion.read(data)
        if data[self.video] and data[self.template]:
            raise ValueError(
                "there are a driving video and a template: remove either, since one moves the portrait"
            )
        portrait = loans.lend(data[self.portrait], "portrait", "picture")
        if data[self.template]:
            driving = loans.lend(data[self.template], "template", "motion")
        else:
            noun = "driving video or template"
            driving = loans.lend(data[self.video], noun, "video", "picture")
        # Motion of one frame makes a picture.
        suffix = ".png" if makes_picture(driving) else ".mp4"
        return Request(
            portrait,
            driving,
            self.site.place(suffix),
            crop=crop,
            retargeting=retargeting,
            **self.clip.values(data),
        )
