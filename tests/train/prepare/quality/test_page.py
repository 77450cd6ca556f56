"""The report of a run, as one page."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from train.prepare.manifest import Entry
from train.prepare.quality.charts import BASE, Series, draw_histogram
from train.prepare.quality.evidence import THUMBNAIL_SIDE, make_thumbnail
from train.prepare.quality.gates import MotionGates, apply_gates
from train.prepare.quality.lip_sound import Verdict
from train.prepare.quality.page import write_report

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that every element is closed, and collects addresses and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []

    def handle_startendtag(self, tag, attrs):
        """Pass over a shape, which is closed at once."""

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def entry_of(clip: str, silence: float) -> Entry:
    return Entry(
        clip, "a<b>", "", 0, 300, 10.0, "0", ("train",), silence=silence, lip_sound=0.3
    )


def picture() -> bytes:
    return make_thumbnail([np.full((90, 90, 3), 128, np.uint8)] * 3)


@pytest.fixture
def page(tmp_path) -> Page:
    limits = MotionGates().limits()
    entries = [entry_of(f"{n}.mp4", n / 10) for n in range(10)]
    entries = apply_gates(entries, limits)
    entries = [
        replace(entry, splits=()) if entry.reason else entry for entry in entries
    ]
    entries.append(Entry("broken.mp4", "c", "", 0, 0, 0.0, "", reason="it is corrupt"))
    right, wrong = np.linspace(0.1, 0.6, 20), np.linspace(-0.1, 0.2, 50)
    scores = {entry.clip: 0.3 for entry in entries}
    verdict = Verdict("the mesh", "folds", "", scores, right, wrong, 0.9, 0.15)
    path = write_report(tmp_path, entries, limits, lambda _: picture(), verdict)
    parser = Page()
    parser.feed(Path(path).read_text(encoding="utf-8"))
    return parser


def test_the_page_needs_no_other_file(page):
    assert page.open == []
    assert len(page.addresses) == 10
    assert all(text.startswith("data:image/jpeg;base64,") for text in page.addresses)


def test_the_page_counts_clips_and_reasons(page):
    text = " ".join(page.text)
    assert "train 5 1 0.8" in text
    assert "left out 6" in text
    assert "silence 0.9, and at most 0.4 passes (--most-silence)" in text
    assert "broken.mp4: it is corrupt" in text
    # names are text, not elements
    assert "10.0 s of a<b>" in text


def test_the_page_states_the_clips_at_other_bounds(page):
    text = " ".join(page.text)
    # the bound, then the clips and the minutes that it leaves
    assert "silence (--most-silence)" in text
    assert re.search(r"0\.4 5 0\.8 .*0\.9 10 1\.7", text)
    assert "lip_sound (--lip-sound-percentile)" in text


def test_a_histogram_shows_every_value_and_the_bound():
    values = np.array([0.0] * 1000 + [1.0])
    svg = draw_histogram([Series(values, "used")], 0.5)
    heights = [float(text) for text in re.findall(r'height="([\d.]+)"/>', svg)]
    assert heights == [BASE, 2.0]
    assert 'x1="210.0"' in svg
    # equal values have a width too
    assert "<rect" in draw_histogram([Series(np.ones(3), "used")], 1.0)


def test_a_thumbnail_is_a_strip_of_pictures():
    strip = cv2.imdecode(np.frombuffer(picture(), np.uint8), cv2.IMREAD_COLOR)
    assert strip.shape == (THUMBNAIL_SIDE, 3 * THUMBNAIL_SIDE, 3)
    assert make_thumbnail([]) == b""
