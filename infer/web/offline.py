"""Gradio without the network: it fetches nothing that a client names."""

from typing import NoReturn

import gradio as gr
from gradio import processing_utils

DOWNLOADS = (
    "async_ssrf_protected_download",
    "async_ssrf_protected_get",
    "unsafe_download",
)
"""Functions of Gradio that fetch an address; its others call these by name."""


def forbid_downloads() -> None:
    """Replace the functions by which Gradio fetches files that values of components name.

    It calls them before any function of the page, also without preprocessing.
    """
    for name in DOWNLOADS:
        # A version of Gradio without one of them must be looked at first.
        getattr(processing_utils, name)
        setattr(processing_utils, name, refuse)


def refuse(url: str, *_: object) -> NoReturn:
    """Raise an error in place of a download."""
    # One line for the client, and no traceback in the log.
    raise gr.Error("Nothing is fetched from elsewhere.", print_exception=False)
