"""The page in a real browser: upload, generate, play, cancel, errors, sliders."""

import re
import time

import pytest

from jaxportrait import demo
from jaxportrait.media.image import read_image
from jaxportrait.media.write import VideoWriter
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.file import save_motion
from jaxportrait.motion.space import MOTION_SPACES, neutral_frames
from tests.infer.web.conftest import DESKTOP, PHONE, Look

SEES = """() => {
  const video = document.querySelector('#talking-portrait video');
  return video && video.readyState >= 2 && video.currentTime > 0 && video.videoWidth > 0;
}"""
FACE = MOTION_SPACES["face"]
TABS = {"Talk": "talking", "Drive": "driven", "Lip-sync": "synced", "Edit": "edited"}
PLAYS = """() => {
  const video = document.querySelector('#%s-clip video');
  return video && video.readyState >= 2 && video.currentTime > 0 && video.videoWidth > 0;
}"""


def finish(look: Look, key: str) -> str:
    """Wait for the result of a tab, and return its status."""
    ends = f"#{key}-status a.download, #{key}-status [role=alert]"
    look.page.wait_for_selector(ends)
    return look.page.inner_text(f"#{key}-status")


def test_a_portrait_and_a_voice_become_a_clip_that_plays(look, short_voice, tmp_path):
    look.set_file("#talking-portrait", demo.PORTRAIT)
    look.set_file("#talking-voice", short_voice)
    look.page.click("#talking-start")
    assert "Download mp4" in finish(look, "talking")
    look.page.wait_for_function(PLAYS % "talking")
    assert not look.page.is_visible("#talking-cancel")
    with look.page.expect_download() as download:
        look.page.click("#talking-status a.download")
    assert download.value.suggested_filename == "talking.mp4"
    download.value.save_as(tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_bundled_examples_fill_the_inputs_and_a_job_is_cancelled(look):
    page = look.page
    page.locator("#talking-portrait + * img, #talking-portrait ~ * img").first.click()
    page.wait_for_selector("#talking-portrait img")
    page.get_by_text("sentence.m4a").first.click()
    page.wait_for_selector("#talking-voice >> text=/0:05/")
    page.click("#talking-start")
    # The first frames are shown before the clip is complete.
    page.wait_for_selector("#talking-status progress")
    page.wait_for_selector("#talking-status img.result")
    assert re.search(r"frame \d+ of 162, .*left", page.inner_text("#talking-status"))
    page.click("#talking-cancel")
    page.wait_for_selector("#talking-status >> text=Cancelled")
    assert page.is_enabled("#talking-start")
    # Nothing is left of it.
    assert page.locator("#talking-status a.download").count() == 0


def test_a_person_who_goes_away_cancels_their_job(server, browser):
    context = browser.new_context(viewport=DESKTOP)
    look = Look(context.new_page(), server.address)
    look.set_file("#talking-portrait", demo.PORTRAIT)
    look.set_file("#talking-voice", demo.SENTENCE)
    look.page.click("#talking-start")
    look.page.wait_for_selector("#talking-status img.result")
    assert server.site.desk.open_jobs == 1
    context.close()
    end = time.monotonic() + 20
    while server.site.desk.open_jobs:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_errors_are_shown_in_words(look):
    page = look.page
    page.click("#talking-start")
    assert "There is no portrait yet: add one" in finish(look, "talking")
    damaged = {"name": "no.png", "mimeType": "image/png", "buffer": b"no picture"}
    with page.expect_response("**/upload?*") as answer:
        page.set_input_files("#talking-portrait input[type=file]", damaged)
    assert answer.value.status == 400
    page.wait_for_selector("text=/cannot be read as picture, sound or video/")


def test_an_option_outside_its_range_is_named_by_its_label(look, short_voice):
    page = look.page
    look.set_file("#talking-portrait", demo.PORTRAIT)
    look.set_file("#talking-voice", short_voice)
    page.get_by_text("Motion from speech").first.click()
    page.get_by_label("Steps").first.fill("0")
    page.click("#talking-start")
    assert "Steps is 0: it must be from 1 to 1000" in finish(look, "talking")


def test_sliders_change_the_portrait_at_once(look):
    page = look.page
    look.open_tab("Edit")
    look.set_file("#edited-portrait", demo.PORTRAIT)
    page.wait_for_selector("#edited-preview img")
    before = page.get_attribute("#edited-preview img", "src")
    page.get_by_label("range slider for Yaw").focus()
    page.keyboard.press("End")
    changed = "a => document.querySelector('#edited-preview img').src !== a"
    page.wait_for_function(changed, arg=before)
    page.get_by_role("button", name="As it is", exact=True).click()
    # The same numbers make the same picture.
    same = "a => document.querySelector('#edited-preview img').src === a"
    page.wait_for_function(same, arg=before)
    page.click("#edited-start")
    assert "Download png" in finish(look, "edited")
    width = "document.querySelector('#edited-status img').naturalWidth"
    page.wait_for_function(f"{width} === 512")


def test_the_mouth_of_a_video_follows_a_voice(look, short_voice, tmp_path):
    # Four frames of a still face.
    film = tmp_path / "film.mp4"
    picture = read_image(demo.PORTRAIT)
    with VideoWriter(film, size=(512, 512), fps=10, audio=None) as writer:
        for _ in range(4):
            writer.write(picture)
    look.open_tab("Lip-sync")
    look.set_file("#synced-video", film)
    look.set_file("#synced-voice", short_voice)
    look.page.click("#synced-start")
    assert "Download mp4" in finish(look, "synced")
    look.page.wait_for_function(PLAYS % "synced")


def test_a_template_moves_a_portrait(look, tmp_path):
    template = tmp_path / "nod.safetensors"
    save_motion(MotionClip.from_values(neutral_frames(3), FACE, 10), template)
    look.open_tab("Drive")
    look.set_file("#driven-portrait", demo.PORTRAIT)
    look.open_tab("Template")
    look.set_file("#driven-template", template)
    look.page.click("#driven-start")
    assert "Download mp4" in finish(look, "driven")
    look.page.wait_for_function(PLAYS % "driven")


def test_the_webcam_takes_a_portrait(server, browser):
    context = browser.new_context(viewport=DESKTOP, permissions=["camera"])
    look = Look(context.new_page(), server.address)
    place = look.page.locator("#talking-portrait")
    place.get_by_label("Capture from camera").click()
    place.get_by_text("Click to Access Webcam").click()
    # Before its first picture a camera captures nothing.
    look.page.wait_for_function(SEES)
    with look.page.expect_response("**/upload?*") as answer:
        place.get_by_label("capture photo").click()
    assert answer.value.status == 200
    look.page.wait_for_selector("#talking-portrait img")
    context.close()
    assert look.elsewhere() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_fits_a_phone(server, browser, scheme):
    context = browser.new_context(viewport=PHONE, color_scheme=scheme)
    look = Look(context.new_page(), server.address)
    for name, key in TABS.items():
        look.open_tab(name)
        look.page.wait_for_selector(f"#{key}-start", state="visible")
        width = look.value("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], name
    # The theme follows the reader's system.
    color = look.value("getComputedStyle(document.body).backgroundColor")
    channels = [int(number) for number in re.findall(r"\d+", color)[:3]]
    assert (max(channels) < 64) == (scheme == "dark")
    context.close()
    assert look.elsewhere() == []
