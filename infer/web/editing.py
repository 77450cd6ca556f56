"""The tab of edits: sliders change the face of a picture, which is shown at once."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from infer.job import JobState, explain
from infer.jobs import QueueFullError
from infer.web.desk import Ticket
from infer.web.files import Loans
from infer.web.inputs import portrait_input, show_examples
from infer.web.models import Model
from infer.web.options import Data, Form
from infer.web.panel import Update, error_page, make_panel
from infer.web.pictures import LONGEST, data_address
from infer.web.site import RAW, Chooser, Site, person_of
from jaxportrait import demo
from jaxportrait.job import Notify
from jaxportrait.job.edit import EditRequest, run_edit
from jaxportrait.job.portraits import PortraitCache
from jaxportrait.pipeline.edits import RATIOS, Edits
from jaxportrait.pipeline.options import CORRECTION_PARTS

HEAD = ("yaw", "pitch", "roll", "x", "y", "z")
EYES = ("brows", "wink", "gaze_x", "gaze_y")
MOUTH = (
    "smile",
    "lip_variation_zero",
    "lip_variation_one",
    "lip_variation_two",
    "lip_variation_three",
)
PREVIEW = "preview"
"""Place of previews at the desk."""
HINT = '<p class="hint">Add a portrait, and move a slider.</p>'
EXAMPLES: dict[str, Edits] = {
    "As it is": Edits(),
    "Smile": Edits(smile=1.0, lip_variation_two=4.0),
    "Look away": Edits(yaw=18.0, pitch=-4.0, gaze_x=12.0),
    "Tilt": Edits(roll=12.0, y=-0.03),
    "Wink": Edits(wink=30.0, smile=0.6),
    "Surprise": Edits(brows=22.0, lip_variation_three=70.0, pitch=3.0),
}
"""Name of an example -> numbers of its sliders."""


class EditingTab:
    """A picture whose face is changed by sliders.

    Attributes:
      site: rooms that all tabs share.
      chooser: the model.
      edits: the sliders.
      options: options of the edit.
    """

    key = "edited"

    def __init__(self, site: Site, chooser: Chooser):
        self.site = site
        self.chooser = chooser
        self.edits = Form(Edits)
        self.options = Form(EditRequest)
        # Finding and encoding the face takes longer than one preview.
        self.portraits = PortraitCache()
        with gr.Row(equal_height=False, elem_classes="editor"):
            with gr.Column(min_width=300, elem_classes="editor-sliders"):
                # The style sheet orders these groups on a phone.
                with gr.Column(elem_classes="editor-source"):
                    self.portrait = portrait_input(self.key)
                    show_examples(self.portrait, demo.PORTRAIT)
                with gr.Column(elem_classes="editor-options"):
                    self._place_sliders()
            with gr.Column(min_width=300, elem_classes="editor-results"):
                self.preview = gr.HTML(
                    HINT, elem_id="edited-preview", elem_classes="status", padding=False
                )
                with gr.Column(elem_classes="editor-panel"):
                    self.panel = make_panel(self.key, "Make the whole picture", "")
        self._connect()

    def _place_sliders(self) -> None:
        with gr.Row(elem_classes="presets"):
            self.presets = {
                name: gr.Button(name, size="sm", min_width=80) for name in EXAMPLES
            }
        with gr.Accordion("Head", open=True):
            self.edits.show(*HEAD)
        with gr.Accordion("Eyes and brows", open=True):
            self.edits.show(*EYES)
        with gr.Accordion("Mouth", open=True):
            self.edits.show(*MOUTH)
        model = self.site.models.find(self.site.models.names[0])
        # They need networks of their own, which not every checkpoint holds.
        with gr.Accordion(
            "Openness", open=False, visible=has_ratios(model)
        ) as self.ratios:
            self.edits.show(*RATIOS)
        with gr.Accordion("Face and picture", open=False):
            self.options.show("face", "crop_scale", "stitching", "max_size")

    def request(self, data: Data, loans: Loans, suffix: str) -> EditRequest:
        """Return the edit that the tab asks for.

        Raises:
          ValueError: a file or an option is not usable.
        """
        edits = self.edits.read(data)
        values = self.options.values(data)
        portrait = loans.lend(data[self.portrait], "portrait", "picture")
        return EditRequest(portrait, self.site.place(suffix), edits, **values)

    async def run(self, data: Data, request: gr.Request) -> AsyncIterator[Update]:
        """Make the whole picture, and yield what the panel shows."""
        person = person_of(request)

        def submit() -> Ticket:
            return self._submit(data, person, self.key, lambda edit: edit, ".png")

        async for update in self.panel.follow(submit):
            yield update

    async def show_preview(self, data: Data, request: gr.Request) -> Any:
        """Return the small picture of the sliders' numbers."""
        if not data[self.portrait]:
            return gr.skip()
        try:
            ticket = self._submit(
                data, person_of(request), PREVIEW, reduce_edit, ".jpg"
            )
        except QueueFullError:
            # The next number of a slider gets its turn.
            return gr.skip()
        except Exception as error:
            return error_page(explain(error))
        page = gr.skip()
        async for progress in ticket.watch():
            if progress.state == JobState.FAILED:
                page = error_page(progress.error)
            result = ticket.result()
            if result is not None:
                page = preview_page(result)
        # It is within the page now.
        ticket.cancel()
        return page

    def cancel(self, request: gr.Request) -> None:
        """Cancel the job of this person."""
        self.site.desk.cancel(person_of(request), self.key)

    def _submit(
        self,
        data: Data,
        person: str,
        place: str,
        change: Callable[[EditRequest], EditRequest],
        suffix: str,
    ) -> Ticket:
        desk = self.site.desk
        with Loans(self.site.shelf) as loans:
            edit = change(self.request(data, loans, suffix))
            networks = self.site.models.networks(data[self.chooser.model], "auto")

            def make(notify: Notify) -> Path:
                portraits = self.portraits if place == PREVIEW else None
                return run_edit(edit, networks, notify, portraits=portraits).path

            # Pictures do not wait for clips.
            return desk.submit(desk.pictures, make, person, place, loans.uploads)

    def _connect(self) -> None:
        sliders = list(self.edits.components.values())
        options = list(self.options.components.values())
        inputs = {self.chooser.model, self.portrait, *sliders, *options}
        watched: list[Any] = [self.portrait, *sliders, *options]
        gr.on(
            [item.change for item in watched],
            self.show_preview,
            inputs,
            self.preview,
            # While one is made, only the latest of further numbers counts.
            trigger_mode="always_last",
            **RAW,
        )
        self.panel.start.click(
            self.run,
            inputs,
            self.panel.outputs,
            **RAW,
        )
        self.panel.cancel.click(
            self.cancel, show_progress="hidden", api_visibility="private"
        )
        self.chooser.model.change(
            lambda name: gr.update(visible=has_ratios(self.site.models.find(name))),
            self.chooser.model,
            self.ratios,
            show_progress="hidden",
            api_visibility="private",
        )
        for name, button in self.presets.items():
            button.click(
                lambda name=name: slider_values(name, list(self.edits.components)),
                None,
                sliders,
                show_progress="hidden",
                api_visibility="private",
            )


def has_ratios(model: Model) -> bool:
    """Return whether a model holds the networks that open eyes and lips."""
    return all(model.has(CORRECTION_PARTS[part]) for part in RATIOS.values())


def slider_values(example: str, names: Sequence[str]) -> list[float | None]:
    """Return the numbers of an example, for sliders in the order of their names."""
    edits = EXAMPLES[example]
    return [getattr(edits, name) for name in names]


def reduce_edit(edit: EditRequest) -> EditRequest:
    """Return an edit whose picture is small enough to be made at once."""
    side = min(edit.max_size or LONGEST, LONGEST)
    return replace(edit, max_size=side)


def preview_page(picture: Path) -> str:
    """Return a small picture within the page."""
    address = data_address(picture.read_bytes())
    return f'<img class="result" src="{address}" alt="The edited portrait">'
