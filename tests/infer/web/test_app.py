"""The server of the page: its door, its uploads, and the policy of its answers."""

import json
from pathlib import Path

import httpx
import pytest

from infer.limits import NO_ROOM
from infer.web.config import Limits, Options, PageAddress
from infer.web.door import MOST_BYTES
from jaxportrait import demo
from tests.disks import only_small_files
from tests.infer.web.conftest import serve

ADDRESS = "https://example.com/huge.png"


@pytest.fixture(scope="module")
def narrow():
    """A page whose uploads are small."""
    limits = Limits(most_megabytes=0.3, most_seconds=6, most_pixels=600 * 600)
    yield from serve(Options(address=PageAddress(port=0), limits=limits))


@pytest.fixture
def client(narrow):
    with httpx.Client(base_url=narrow.address) as client:
        yield client


def send(client: httpx.Client, name: str, data: bytes) -> httpx.Response:
    return client.post("/gradio_api/upload", files={"files": (name, data)})


def post_value(client: httpx.Client, value: dict) -> dict:
    """Post a value of the first portrait to the queue, as a program could; return the
    queue's last message."""
    config = client.get("/config").json()
    kinds = {item["id"]: item["type"] for item in config["components"]}
    job = next(
        job
        for job in config["dependencies"]
        if {"image", "audio"} <= {kinds[place] for place in job["inputs"]}
    )
    data = [value if kinds[place] == "image" else None for place in job["inputs"]]
    body = {"fn_index": job["id"], "data": data, "session_hash": "program"}
    assert client.post("/gradio_api/queue/join", json=body).status_code == 200
    asked = {"session_hash": "program"}
    with client.stream("GET", "/gradio_api/queue/data", params=asked) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ") or "{}")
            if message.get("msg") == "process_completed":
                return message
    raise AssertionError("the queue ended without an answer")


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


def test_a_full_disk_is_named(narrow, client):
    files = set(narrow.site.uploads.folder.iterdir())
    with only_small_files(100_000):
        answer = send(client, "a.png", bytes(200_000))
    assert (answer.status_code, answer.text) == (507, NO_ROOM)
    assert set(narrow.site.uploads.folder.iterdir()) == files


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


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "elsewhere.example"},
        {"Host": "127.0.0.1.elsewhere.example:7860"},
        {"Host": "["},
        {"Host": ""},
        {"Origin": "http://elsewhere.example"},
        # Another program of this machine.
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://["},
        {"Origin": "null"},
    ],
)
def test_requests_of_other_sites_are_refused(client, headers):
    for answer in (
        client.get("/config", headers=headers),
        client.post("/gradio_api/upload", headers=headers),
    ):
        assert answer.status_code == 403
        assert answer.text == "requests of other sites are not accepted"
        assert "content-security-policy" in answer.headers


def test_requests_of_the_page_itself_are_accepted(narrow, client):
    port = narrow.address.rpartition(":")[2]
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{port}"
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert client.get("/config", headers=headers).status_code == 200


def test_a_long_body_without_a_stated_length_is_refused_in_one_line(client):
    pieces = iter([bytes(2**19), bytes(2**19), b"x"])
    answer = client.post("/gradio_api/queue/join", content=pieces)
    assert answer.status_code == 413
    assert answer.text == "the request is too long"


@pytest.fixture
def small():
    """A page whose uploads are few."""
    limits = Limits(most_megabytes=0.3, total_megabytes=0.3)
    yield from serve(Options(address=PageAddress(port=0), limits=limits))


def test_a_full_page_refuses_uploads_in_words(small):
    with httpx.Client(base_url=small.address) as client:
        statuses = []
        while len(statuses) < 20 and 400 not in statuses:
            answer = send(client, "a.png", demo.PORTRAIT.read_bytes())
            statuses.append(answer.status_code)
        assert statuses[0] == 200
        assert "the page holds 0.3 MiB of files" in answer.text


def test_an_address_in_a_value_is_not_fetched(narrow, client, monkeypatch):
    fetched = []

    async def get(url: str, **_: object) -> None:
        fetched.append(url)
        raise OSError("there is no network in tests")

    monkeypatch.setattr("gradio.processing_utils.sh.get", get)
    # Gradio would make a folder for the file.
    before = sorted(narrow.site.uploads.folder.iterdir())
    last = post_value(client, {"path": ADDRESS, "meta": {"_type": "gradio.FileData"}})
    # The job ends with an error before it begins.
    assert last["msg"] == "process_completed"
    assert not last["success"]
    assert fetched == []
    assert sorted(narrow.site.uploads.folder.iterdir()) == before
