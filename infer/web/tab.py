"""A tab that makes clips."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

import gradio as gr
from gradio.components import Component

from infer.web.desk import Ticket
from infer.web.files import Loans
from infer.web.options import Data, Form
from infer.web.panel import Panel, Update, make_panel
from infer.web.site import RAW, Chooser, Site, person_of
from jaxportrait.animation import Retargeting
from jaxportrait.checkpoint import AUTO_DRIVER
from jaxportrait.job import Notify, Request, run_job

STRENGTHS = (
    "lip_strength",
    "expression_strength",
    "eye_strength",
    "head_strength",
    "head_smoothing",
)
"""Options of motion that people change first."""
OF_VIDEOS = ("source_video_eye_retargeting", "driving_smooth_observation_variance")
"""Options of motion that only source videos have."""
OF_OPENNESS = ("eye_retargeting", "lip_retargeting")
"""Options of motion that only driving faces have."""


class ClipTab(ABC):
    """Inputs and options on one side, the clip on the other.

    Attributes:
      key: name of the tab, within the page.
      button: words on the button.
      site: rooms that all tabs share.
      chooser: the model and its driver.
      motion: options of the source's motion.
      clip: options of the clip.
    """

    key: str
    button: str

    def __init__(self, site: Site, chooser: Chooser):
        self.site = site
        self.chooser = chooser
        self.motion = Form(Retargeting)
        self.clip = Form(Request)
        with gr.Row(equal_height=False):
            with gr.Column(min_width=300):
                self.files = self.place_files()
                self.place_options()
            # On a phone the columns lie one above the other.
            with gr.Column(min_width=300):
                self.panel = make_panel(self.key, self.button)
        self._connect(self.panel)

    @abstractmethod
    def place_files(self) -> list[Component]:
        """Place the inputs of files, and return them."""

    @abstractmethod
    def place_options(self) -> None:
        """Place the options."""

    def place_clip(self) -> None:
        """Place the options of the clip."""
        with gr.Accordion("Face and video", open=False):
            self.clip.show("face", "output_fps", "max_size", "crf", "side_by_side")

    @abstractmethod
    def request(self, data: Data, loans: Loans) -> Request:
        """Return the clip that the tab asks for.

        Raises:
          ValueError: a file or an option is not usable.
        """

    @property
    def forms(self) -> list[Form]:
        """The options that the tab reads."""
        return [self.motion, self.clip]

    def driver(self, data: Data) -> str:
        """Return the name of the driver, where speech drives."""
        return data[self.chooser.driver] or AUTO_DRIVER

    async def run(self, data: Data, request: gr.Request) -> AsyncIterator[Update]:
        """Make the clip, and yield what the panel shows."""
        person = person_of(request)
        async for update in self.panel.follow(lambda: self._submit(data, person)):
            yield update

    def cancel(self, request: gr.Request) -> None:
        """Cancel the job of this person."""
        # The run itself ends at the next look at the job.
        self.site.desk.cancel(person_of(request), self.key)

    def _submit(self, data: Data, person: str) -> Ticket:
        desk = self.site.desk
        # An error deletes the loans; a job that starts does so at its end.
        with Loans(self.site.shelf) as loans:
            clip = self.request(data, loans)
            model = data[self.chooser.model]
            networks = self.site.models.networks(model, self.driver(data))

            def make(notify: Notify):
                return run_job(clip, networks, notify).path

            return desk.submit(desk.clips, make, person, self.key, loans.uploads)

    def _connect(self, panel: Panel) -> None:
        # Gradio hands a set to the function as a dictionary.
        inputs = {self.chooser.model, self.chooser.driver, *self.files}
        for form in self.forms:
            inputs.update(form.components.values())
        panel.start.click(
            self.run,
            inputs,
            panel.outputs,
            **RAW,
        )
        panel.cancel.click(
            self.cancel, show_progress="hidden", api_visibility="private"
        )
