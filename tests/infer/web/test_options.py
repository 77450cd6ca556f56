"""Options of the page: those of the command line, with its ranges and defaults."""

from dataclasses import fields

import httpx
import pytest

from infer.web.driving import DrivingTab
from infer.web.editing import EXAMPLES
from infer.web.lipsync import LipSyncTab
from infer.web.options import Form, find_option, make_component, slider_step
from infer.web.talking import TalkingTab
from infer.web.words import as_labels, label_of
from jaxportrait.animation import Retargeting, Sampling
from jaxportrait.drivers.video import DrivingCrop
from jaxportrait.job import Request
from jaxportrait.pipeline.edits import RATIOS, Edits
from jaxportrait.ranges import OptionError, field_ranges

WORDS = {"emotion": ("happy", "sad")}


def form_of(kind: type) -> Form:
    """Return a form of all fields, outside of a page."""
    form = Form(kind)
    for item in fields(kind):
        if not find_option(kind, item.name).is_file:
            form.components[item.name] = make_component(
                kind, item.name, WORDS.get(item.name, ())
            )
    return form


def untouched(form: Form) -> dict:
    return {component: component.value for component in form.components.values()}


@pytest.mark.parametrize("kind", [Sampling, Retargeting, DrivingCrop, Edits])
def test_an_untouched_form_is_the_default_of_its_dataclass(kind):
    form = form_of(kind)
    assert form.read(untouched(form)) == kind()


@pytest.mark.parametrize("kind", [Sampling, Retargeting, DrivingCrop, Edits])
def test_every_field_has_a_label_and_an_explanation(kind):
    for item in fields(kind):
        option = find_option(kind, item.name)
        assert option.label
        assert option.help, item.name


def test_a_slider_has_the_range_of_its_field():
    # Openness has no neutral number, and is typed.
    names = field_ranges(Edits).keys() - RATIOS.keys()
    for name in names:
        slider = make_component(Edits, name)
        allowed = field_ranges(Edits)[name].allowed
        assert (slider.minimum, slider.maximum) == (allowed.least, allowed.most)
        assert slider.value == getattr(Edits(), name)


@pytest.mark.parametrize(
    ("least", "most", "step"),
    [
        (-15, 15, 0.2),
        (-0.19, 0.19, 0.002),
        (0, 10, 0.1),
        (-90, 120, 2),
        (0.9, 1.2, 0.002),
    ],
)
def test_steps_of_sliders_are_round(least, most, step):
    assert slider_step(least, most) == pytest.approx(step)


def test_values_of_a_form_reach_the_dataclass():
    form = form_of(Retargeting)
    data = untouched(form)
    data[form.components["stitching"]] = "off"
    data[form.components["region"]] = "lips"
    data[form.components["head_strength"]] = 2
    expected = Retargeting(stitching=False, region="lips", head_strength=2.0)
    assert form.read(data) == expected


def test_an_empty_field_is_the_default_and_a_word_is_refused():
    form = form_of(Sampling)
    data = untouched(form)
    data[form.components["steps"]] = "12"
    assert form.read(data) == Sampling(steps=12)
    data[form.components["steps"]] = "twelve"
    with pytest.raises(OptionError, match="steps is 'twelve': it must be a whole num"):
        form.read(data)
    data[form.components["steps"]] = "1.5"
    with pytest.raises(OptionError, match=r"steps is 1\.5"):
        form.read(data)


def test_a_choice_that_is_left_to_the_model_is_none():
    form = form_of(Sampling)
    data = untouched(form)
    component = form.components["emotion"]
    assert component.value == "automatic"
    assert form.read(data).emotion is None
    data[component] = "happy"
    assert form.read(data).emotion == "happy"


def test_no_path_is_an_option():
    option = find_option(Sampling, "emotion_keyframes")
    assert option.is_file
    with pytest.raises(TypeError, match="has no component"):
        make_component(Sampling, "emotion_keyframes")


def test_messages_name_options_by_their_labels():
    assert as_labels("cfg_scale is 200: it must be") == "Guidance is 200: it must be"
    # Sentences that are about no option stay.
    assert as_labels("the file is empty") == "the file is empty"


def labels_of(server) -> set[str]:
    """Return the labels on a page."""
    config = httpx.get(f"{server.address}/config").json()
    return {block["props"].get("label") for block in config["components"]}


def test_the_page_has_every_option_of_the_library(server):
    """A field that no tab shows is one that pages have another way to set."""
    labels = labels_of(server)
    elsewhere = {
        # Files, and what a tab is about.
        "source", "driving", "output", "driving_kind", "head_from", "crop", "lip_sync",
        "audio_priority", "sampling", "retargeting",
        # The face has a number; a box needs a mouse on the picture.
        "box", "template_out", "encoder",
        # A file of emotions at times; and those of models that know emotions, which the
        # demo does not.
        "emotion_keyframes", "emotion", "emotion_strength",
    }  # fmt: skip
    names = []
    for kind in (Sampling, Retargeting, DrivingCrop, Edits, Request):
        names += [item.name for item in fields(kind)]
    shown = {name for name in names if label_of(name) in labels}
    assert set(names) - shown <= elsewhere


def test_examples_of_edits_are_edits():
    assert EXAMPLES["As it is"] == Edits()
    assert len({str(edits) for edits in EXAMPLES.values()}) == len(EXAMPLES)


def test_tabs_have_names_of_their_own():
    tabs = [TalkingTab, DrivingTab, LipSyncTab]
    assert len({tab.key for tab in tabs}) == len(tabs)
