"""A page that is served, and a browser that looks at it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from infer.web.config import Options, PageAddress
from infer.web.serve import Server, open_server
from tests.browser import find_browser
from tests.inputs import write_wave

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    # A picture and a beep in place of a person's own.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
MOST_MILLISECONDS = 60_000


def serve(options: Options) -> Iterator[Server]:
    """Serve a page in a thread."""
    # Playwright has an event loop in this thread, and asyncio allows no second one.
    with ThreadPoolExecutor() as pool:
        server = pool.submit(open_server, options).result()
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()
    assert not server.site.uploads.folder.exists()


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    """The page with the demo."""
    yield from serve(Options(address=PageAddress(port=0)))


@pytest.fixture(scope="package")
def browser():
    """Chromium; tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    command = find_browser()
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=command, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Look:
    """A page in a browser, and all that it asked for.

    Attributes:
      page: Playwright's page.
      requests: addresses of its requests.
      errors: errors of its scripts.
    """

    def __init__(self, page, address: str):
        self.page = page
        self.address = address
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.set_default_timeout(MOST_MILLISECONDS)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#talking-start")

    def elsewhere(self) -> list[str]:
        """Return the requests to any other place."""
        here = (f"{self.address}/", "data:", f"blob:{self.address}/")
        return [address for address in self.requests if not address.startswith(here)]

    def open_tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def set_file(self, place: str, path: Path) -> None:
        """Add a file to an input, and wait until it is uploaded."""
        with self.page.expect_response("**/upload?*"):
            self.page.set_input_files(f"{place} input[type=file]", path)
        # The component shows the file once it has its address.
        self.page.wait_for_timeout(300)

    def value(self, expression: str):
        return self.page.evaluate(expression)


@pytest.fixture
def look(server, browser):
    """The page on a desktop; nothing but its own server is asked for anything."""
    context = browser.new_context(viewport=DESKTOP, accept_downloads=True)
    glance = Look(context.new_page(), server.address)
    yield glance
    context.close()
    assert glance.elsewhere() == []
    assert glance.errors == []


@pytest.fixture(scope="package")
def short_voice(tmp_path_factory, voice) -> Path:
    """A fifth of a second of babble: six frames."""
    path = tmp_path_factory.mktemp("voice") / "short voice.wav"
    write_wave(path, voice[:3_200].astype(np.float32))
    return path
