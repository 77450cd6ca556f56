"""The page: a chooser of models, and a tab for each way to move a face."""

import os

import gradio as gr

from infer.web.driving import DrivingTab
from infer.web.editing import EditingTab
from infer.web.lipsync import LipSyncTab
from infer.web.site import Site, make_chooser
from infer.web.talking import TalkingTab

TITLE = "jaxportrait"
INTRODUCTION = f"""# {TITLE}
Make a portrait speak, move it as another face moves, sync lips, or edit a face."""
TABS = {
    "Talk": TalkingTab,
    "Drive": DrivingTab,
    "Lip-sync": LipSyncTab,
    "Edit": EditingTab,
}
"""Label of a tab -> its maker, in the order of the page."""


def make_page(site: Site) -> gr.Blocks:
    """Return the page of a site."""
    # Gradio reads both from the environment only: no report to its makers, and our
    # private folder for the copies that it makes of examples.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(site.uploads.folder)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        gr.Markdown(INTRODUCTION, elem_id="title")
        chooser = make_chooser(site.models)
        with gr.Tabs():
            for label, make_tab in TABS.items():
                with gr.Tab(label):
                    make_tab(site, chooser)
    return page
