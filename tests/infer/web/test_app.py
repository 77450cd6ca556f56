"""The server of the page: its door, its uploads, and the policy of its answers."""

from pathlib import Path

import httpx
import pytest

from infer.web.config import Address, Limits, Options
from infer.web.door import MOST_BYTES
from jaxportrait import demo
from tests.infer.web.conftest import serve


@pytest.fixture(scope="module")
def narrow():
    """A page whose uploads are small."""
    limits = Limits(most_megabytes=0.3, most_seconds=6, most_pixels=600 * 600)
    yield from serve(Options(address=Address(port=0), limits=limits))


@pytest.fixture
def client(narrow):
    with httpx.Client(base_url=narrow.address) as client:
        yield client


def send(client: httpx.Client, name: str, data: bytes) -> httpx.Response:
    return client.post("/gradio_api/upload", files={"files": (name, data)})


@pytest.mark.parametrize(
    "name", ["../../../etc/cron.d/evil.png", "; rm -rf ~ .png", "a\\b.png", "ü.png"]
)
def test_names_of_users_reach_no_path(narrow, client, name):
    answer = send(client, name, demo.PORTRAIT.read_bytes())
    assert answer.status_code == 200
    [place] = answer.json()
    # A random name in the private folder, whatever the user's was.
    path = Path(place)
    assert path.parent == narrow.site.uploads.folder
    assert path.stem.isalnum()
    assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0


def test_an_upload_can_be_seen_by_its_random_name(client):
    [place] = send(client, "a.png", demo.PORTRAIT.read_bytes()).json()
    answer = client.get(f"/gradio_api/file={place}")
    assert answer.content == demo.PORTRAIT.read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "status", "words"),
    [
        ("big.wav", bytes(400_000), 413, "more than 0.3 MiB"),
        ("no.png", b"no picture at all", 400, "cannot be read"),
        ("empty.png", b"", 400, "is empty"),
        ("program.exe", b"MZ", 400, "ends in none of"),
        ("list.m4a", b"#EXTM3U\nhttp://127.0.0.1/\n", 400, "cannot be read"),
    ],
)
def test_files_that_are_not_accepted_are_answered_in_words(
    narrow, client, name, data, status, words
):
    before = sorted(narrow.site.uploads.folder.iterdir())
    answer = send(client, name, data)
    assert answer.status_code == status
    assert words in answer.text
    assert sorted(narrow.site.uploads.folder.iterdir()) == before


def test_a_form_without_a_file_is_answered(client):
    answer = client.post("/gradio_api/upload", data={"files": "text"})
    assert answer.status_code == 400
    # Neither a form at all.
    answer = client.post("/gradio_api/upload", content=b"x")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "address",
    [
        "/gradio_api/file=http://127.0.0.1:1/x",
        "/gradio_api/file=https://example.com/x",
        "/gradio_api/proxy=https://x.hf.space/x",
        "/gradio_api/FILE=HTTP://127.0.0.1:1/x",
        "//gradio_api//file=http://127.0.0.1:1/x",
        "/gradio_api/file%3Dhttp%3A//127.0.0.1%3A1/x",
    ],
)
def test_the_server_fetches_nothing_for_others(client, address):
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("path", ["/etc/passwd", str(demo.PORTRAIT), "/proc/self/mem"])
def test_files_of_the_machine_are_not_served(client, path):
    assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)
    assert client.get(f"/result/{path}").status_code == 404


def test_every_answer_forbids_requests_elsewhere(client):
    for path in ("/", "/config", "/nothing"):
        # Also of an address that does not exist.
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy


def test_a_long_body_is_refused(client):
    answer = client.post("/gradio_api/queue/join", content=bytes(MOST_BYTES + 1))
    assert answer.status_code == 413
    assert client.get("/").status_code == 200


def test_the_page_names_no_other_host(client):
    page = client.get("/").text
    assert "googleapis" not in page
    assert "api.gradio.app" not in page
    assert '<script src="http' not in page
