"""The page in a real browser: microphone and file in, picture and sound in time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import find_browser
from tests.infer.serve.conftest import SECONDS, Service
from tests.inputs import babble, write_wave

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)  # fmt: skip
LATE_PERMISSION = """
const media = navigator.mediaDevices;
const open = media.getUserMedia.bind(media);
media.getUserMedia = async (options) => {
  const stream = await open(options);
  window.stream = stream;
  await new Promise((resolve) => { window.permit = resolve; });
  return stream;
};
"""
"""A user who takes long to permit the microphone."""
MILLISECONDS = 1000 * SECONDS
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def voice_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    write_wave(path, babble(2.0))
    return path


@pytest.fixture(scope="module")
def browser(voice_file) -> Iterator[Browser]:
    arguments = [*ARGUMENTS, f"--use-file-for-fake-audio-capture={voice_file}"]
    path = find_browser()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, service) -> Iterator[Page]:
    context = browser.new_context(viewport=DESKTOP)
    opened = context.new_page()
    opened.set_default_timeout(MILLISECONDS)
    opened.goto(service.address)
    yield opened
    context.close()


def wait_for_frames(page: Page, count: int) -> None:
    # The page's policy forbids what Playwright's own waiting does.
    for _ in range(int(MILLISECONDS / 100)):
        if int(page.locator("#count").inner_text()) >= count:
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.locator("#state").inner_text())


def wait_until(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript."""
    for _ in range(int(MILLISECONDS / 100)):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(condition)


def offset(page: Page) -> float:
    """Return how far pictures are behind their sound, in seconds."""
    return float(page.locator("#offset").inner_text()) / 1000


def test_a_microphone_moves_the_portrait_in_time(page):
    page.click("#start")
    wait_for_frames(page, 10)
    # A frame of 25 a second, and one of the screen's.
    assert -0.02 <= offset(page) < 0.08
    page.click("#stop")
    page.wait_for_selector("#state[data-state=done]")
    assert page.locator("#start").is_enabled()


def test_a_microphone_that_is_permitted_after_the_end_is_off(browser, service):
    context = browser.new_context()
    context.add_init_script(LATE_PERMISSION)
    page = context.new_page()
    page.set_default_timeout(MILLISECONDS)
    page.goto(service.address)
    page.click("#start")
    wait_until(page, "window.permit !== undefined")
    page.click("#stop")
    page.wait_for_selector("#state[data-state=done]")
    page.evaluate("window.permit()")
    track = "window.stream.getTracks()[0].readyState"
    wait_until(page, f"{track} === 'ended'")
    context.close()


@pytest.mark.parametrize("frames", ["jpeg", "mp4"])
def test_a_file_is_played_with_its_frames(page, voice_file, frames):
    page.click("summary")
    page.select_option("#frames", frames)
    page.check("input[value=file]")
    page.set_input_files("#file", voice_file)
    page.click("#start")
    page.wait_for_selector("#state[data-state=done]")
    assert page.locator("#audible").is_checked()
    assert int(page.locator("#count").inner_text()) > 10
    assert -0.05 <= offset(page) < 0.08


def test_errors_are_told_in_words(page):
    page.check("input[value=file]")
    page.click("#start")
    page.wait_for_selector("#state[data-state=error]")
    assert page.locator("#state").inner_text() == "choose a sound file first"


def test_a_full_service_is_told_in_words(page, service: Service):
    with service.connect() as first, service.connect() as second:
        for socket in (first, second):
            socket.send('{"type": "start"}')
            socket.recv(SECONDS)
        page.click("#start")
        page.wait_for_selector("#state[data-state=error]")
    assert "sessions of this server are taken" in page.locator("#state").inner_text()


def test_the_page_asks_nothing_of_other_servers(browser, service):
    context = browser.new_context(viewport=PHONE, color_scheme="dark")
    page = context.new_page()
    addresses = []
    problems = []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(service.address)
    page.wait_for_load_state("networkidle")
    local = (service.address, "data:", "blob:")
    assert [url for url in addresses if not url.startswith(local)] == []
    assert any(url.endswith("/static/live.js") for url in addresses)
    assert problems == []
    # Nothing is wider than a phone.
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    context.close()
