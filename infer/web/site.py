"""Rooms that all tabs of a page share."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.components import Component

from infer.uploads import Uploads
from infer.web.desk import Desk
from infer.web.files import Shelf
from infer.web.models import Models


@dataclass(frozen=True)
class Site:
    """Rooms that all tabs of a page share.

    Attributes:
      models: the models to choose from.
      uploads: the private folder.
      shelf: the uploads.
      desk: the jobs.
    """

    models: Models
    uploads: Uploads
    shelf: Shelf
    desk: Desk

    def place(self, suffix: str) -> Path:
        """Return a path for a result."""
        return self.uploads.place(suffix)

    def close(self) -> None:
        """Cancel the jobs, and delete all files."""
        self.desk.close()
        self.uploads.close()


@dataclass(frozen=True)
class Chooser:
    """The choice of model and driver.

    Attributes:
      model: name of the model.
      driver: name of its driver; invisible where there is one.
    """

    model: gr.Dropdown
    driver: gr.Dropdown


def make_chooser(models: Models) -> Chooser:
    """Place the choice of model and driver at the current place of the page."""
    first = models.find(models.names[0])
    has_drivers = len(first.drivers) > 1
    # A choice of one is none.
    is_shown = has_drivers or len(models.names) > 1
    with gr.Row(elem_classes="chooser", visible=is_shown):
        model = gr.Dropdown(
            models.names,
            value=first.name,
            label="Model",
            filterable=False,
            elem_id="model",
        )
        driver = gr.Dropdown(
            first.drivers,
            value=next(iter(first.drivers), None),
            label="Driver of speech",
            filterable=False,
            visible=has_drivers,
            elem_id="driver",
        )

    def change(name: str) -> object:
        drivers = models.find(name).drivers
        value = next(iter(drivers), None)
        return gr.update(choices=drivers, value=value, visible=len(drivers) > 1)

    model.change(
        change, model, driver, show_progress="hidden", api_visibility="private"
    )
    return Chooser(model, driver)


def pass_path(component: Component) -> Component:
    """Return an upload component that hands on the path of its file.

    Gradio's own would decode and rewrite the file.
    """

    def path_of(payload: object) -> str | None:
        return getattr(payload, "path", None)

    component.preprocess = path_of  # pyright: ignore[reportAttributeAccessIssue]
    return component


def person_of(request: gr.Request) -> str:
    """Return the session of the page, which takes turns with others."""
    return request.session_hash or ""
