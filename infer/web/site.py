"""Rooms that all tabs of a page share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

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


RAW: dict[str, Any] = {
    # The queue of jobs decides when a job runs, not Gradio's.
    "concurrency_limit": None,
    # Gradio would decode and rewrite files; the shelf and the dataclasses check values.
    "preprocess": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
"""Options of Gradio for events that start jobs."""


def person_of(request: gr.Request) -> str:
    """Return the session of the page, which takes turns with others."""
    return request.session_hash or ""
