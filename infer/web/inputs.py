"""Components by which people add files."""

from pathlib import Path

import gradio as gr
from gradio.components import Component

from infer.uploads import SUFFIXES

PICTURE_HEIGHT = 300
"""Height in pixels of pictures that were added."""


def portrait_input(key: str) -> Component:
    """Place the input of a portrait: a file or the webcam."""
    return gr.Image(
        label="Portrait",
        type="filepath",
        sources=["upload", "webcam"],
        height=PICTURE_HEIGHT,
        buttons=[],
        elem_id=f"{key}-portrait",
    )


def voice_input(key: str) -> Component:
    """Place the input of speech: a file or the microphone."""
    return gr.Audio(
        label="Speech",
        type="filepath",
        sources=["upload", "microphone"],
        # Sound is used as it was added.
        editable=False,
        buttons=[],
        elem_id=f"{key}-voice",
    )


def video_input(key: str, label: str) -> Component:
    """Place the input of a video: a file or the webcam."""
    return gr.Video(
        label=label,
        sources=["upload", "webcam"],
        height=PICTURE_HEIGHT,
        buttons=[],
        elem_id=f"{key}-video",
    )


def motion_input(key: str) -> Component:
    """Place the input of a template: a file of motion."""
    return gr.File(
        label="Template (.pkl of LivePortrait, or .safetensors)",
        file_types=list(SUFFIXES["motion"]),
        buttons=[],
        elem_id=f"{key}-template",
    )


def show_examples(component: Component, *paths: Path) -> None:
    """Place example files under their input."""
    gr.Examples(
        [[str(path)] for path in paths],
        [component],
        label="Or use the example",
        # Nothing is computed ahead.
        cache_examples=False,
        api_visibility="private",
    )
