"""Whole clips over REST, from a real server."""

import errno
import json
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import av
import httpx
import numpy as np
import pytest
from fastapi import HTTPException, UploadFile

from infer.job import replace_paths
from infer.jobs import JobQueue
from infer.limits import NO_ROOM, is_full
from infer.serve.clips import DRIVINGS, SOURCES, ClipOptions, ClipService
from infer.serve.metrics import Metrics
from infer.serve.portraits import Portraits, UnknownPortraitError
from infer.serve.strict import decode_strictly
from infer.uploads import Uploads
from jaxportrait import demo
from tests.disks import only_small_files
from tests.infer.serve.conftest import SECONDS, Service, serve
from tests.inputs import babble, write_wave

ENDS = ("done", "failed", "cancelled")
QUICK = json.dumps({"sampling": {"steps": 1}, "max_size": 256})


@pytest.fixture(scope="module")
def voice_file(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("sounds") / "voice.wav"
    write_wave(path, babble(0.3))
    return path.read_bytes()


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service.address, timeout=SECONDS) as opened:
        yield opened


def submit(client: httpx.Client, options: str = QUICK, **files) -> httpx.Response:
    return client.post("/v1/jobs", data={"options": options}, files=files)


def wait(client: httpx.Client, job: str) -> dict:
    """Wait for the end of a job."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        state = client.get(f"/v1/jobs/{job}").json()
        if state["state"] in ENDS:
            return state
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def test_a_clip_is_made_with_progress(client, voice_file):
    answer = submit(client, driving=("a.wav", voice_file))
    assert answer.status_code == 202
    job = answer.json()["id"]
    assert answer.json()["state"] in ("queued", "running")
    state = wait(client, job)
    assert (state["state"], state["error"]) == ("done", "")
    assert (state["stage"], state["done"], state["total"]) == ("rendering", 9, 9)
    result = client.get(f"/v1/jobs/{job}/result")
    assert result.headers["content-type"] == "video/mp4"
    with av.open(BytesIO(result.content)) as file:
        assert len(list(file.decode(video=0))) == 9
    # Its result is deleted with it.
    assert client.delete(f"/v1/jobs/{job}").json()["state"] == "cancelled"
    answer = client.get(f"/v1/jobs/{job}/result")
    assert answer.status_code == 409
    assert answer.json() == {"error": "the job is cancelled, and has no result"}


def test_a_job_is_cancelled(client, voice_file, tmp_path):
    write_wave(tmp_path / "long.wav", babble(4.0))
    files = {"driving": ("a.wav", (tmp_path / "long.wav").read_bytes())}
    job = submit(client, **files).json()["id"]
    client.delete(f"/v1/jobs/{job}")
    assert wait(client, job)["state"] == "cancelled"
    assert client.get(f"/v1/jobs/{job}/result").status_code == 409


def test_failures_name_the_file_as_its_user_does(client, tmp_path, voice_file):
    blank = BytesIO()
    from PIL import Image

    Image.new("RGB", (200, 200), "white").save(blank, "PNG")
    files = {"source": ("wall.png", blank.getvalue()), "driving": ("a.wav", voice_file)}
    state = wait(client, submit(client, **files).json()["id"])
    assert state["state"] == "failed"
    assert "no face" in state["error"]
    assert "/" not in state["error"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("{", "the options are no JSON"),
        ('{"speed": 2}', "options have no speed: choose from format"),
        ('{"sampling": {"pace": 2}}', "options.sampling have no pace"),
        ('{"crf": 99}', "crf is 99: it must be from 0 to 51"),
        (
            '{"sampling": {"emotion_keyframes": "/etc/passwd"}}',
            "Expected `Path`, got `str`",
        ),
        ('{"format": "exe"}', "Invalid enum value 'exe'"),
        ('{"sampling": {"seed": -1}}', "seed is -1: it must be from 0"),
        ("[" * 5000, "the options are nested too deeply"),
        ('{"format": "png"}', "format png does not fit, since the files make a clip"),
    ],
)
def test_options_that_cannot_be_are_named(client, voice_file, options, line):
    answer = submit(client, options, driving=("a.wav", voice_file))
    assert answer.status_code == 422
    assert line in answer.json()["error"]


def test_files_that_are_not_accepted_are_answered(client, voice_file):
    cases = {
        (422, "ends in none of .wav"): ("a.exe", voice_file),
        (422, "the file is empty"): ("a.wav", b""),
        (422, "cannot be read"): ("a.wav", b"RIFF no wave"),
        (413, "more than 1 MiB"): ("a.wav", bytes(2**20 + 1)),
    }
    for (status, line), file in cases.items():
        answer = submit(client, driving=file)
        assert answer.status_code == status
        assert line in answer.json()["error"]
    assert submit(client).status_code == 422
    assert client.get("/health").json()["status"] == "ok"


def test_bodies_beyond_the_limit_are_not_read(client):
    answer = client.post("/v1/jobs", content=bytes(5 * 2**20))
    assert answer.status_code == 413
    headers = {"content-length": "nonsense"}
    with pytest.raises(httpx.HTTPError):
        client.post("/v1/jobs", headers=headers, content=b"").raise_for_status()


def test_a_form_beyond_the_limit_in_chunks_is_answered_in_words(client):
    def form():
        yield b"--b\r\nContent-Disposition: form-data; name=driving; filename=a.wav\r\n\r\n"
        # One chunk more than the 4 MiB of three files and their form.
        for _ in range(64):
            yield bytes(2**16)

    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/jobs", content=form(), headers=headers)
    assert answer.status_code == 413
    line = "the request has more than 4 MiB, which is the limit"
    assert answer.json() == {"error": line}


def test_every_error_is_a_line_of_json(client):
    answers = {
        404: client.get("/nowhere"),
        405: client.put("/v1/jobs"),
        400: client.post(
            "/v1/jobs",
            content=b"--c",
            headers={"content-type": "multipart/form-data; boundary"},
        ),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert list(answer.json()) == ["error"]


def test_unknown_jobs_are_named(client):
    for answer in (
        client.get("/v1/jobs/1"),
        client.get("/v1/jobs/1/result"),
        client.delete("/v1/jobs/1"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"].startswith("there is no such job")


def test_a_portrait_is_kept_for_sessions(client, service):
    files = {"picture": ("me.png", demo.PORTRAIT.read_bytes())}
    answer = client.post("/v1/portraits", files=files)
    assert answer.status_code == 201
    portrait = answer.json()
    assert (portrait["width"], portrait["height"]) == (256, 256)
    with service.connect() as socket:
        socket.send(json.dumps({"type": "start", "portrait": portrait["id"]}))
        assert json.loads(socket.recv(SECONDS))["type"] == "ready"


@pytest.fixture
def clips(avatar):
    """Return the service without its server and without a thread for its jobs."""
    uploads = Uploads()
    queue = JobQueue([])
    yield ClipService(
        queue,
        uploads,
        Portraits(),
        avatar.animator,
        demo.PORTRAIT,
        256,
        Metrics(),
    )
    uploads.close()


class SlowFile(BytesIO):
    """A file that waits at its first read."""

    def __init__(self):
        super().__init__(b"no picture")
        self.is_read = threading.Event()
        self.may_go_on = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.is_read.set()
        assert self.may_go_on.wait(SECONDS)
        return super().read(size)


def test_one_portrait_is_encoded_at_a_time(clips):
    file = SlowFile()
    with ThreadPoolExecutor(1) as threads:
        slow = UploadFile(file, filename="me.png")
        first = threads.submit(clips.add_portrait, "a", slow)
        assert file.is_read.wait(SECONDS)
        other = UploadFile(BytesIO(demo.PORTRAIT.read_bytes()), filename="b.png")
        with pytest.raises(HTTPException, match="503: another portrait"):
            clips.add_portrait("b", other)
        file.may_go_on.set()
        with pytest.raises(HTTPException, match="422"):
            first.result(SECONDS)
    # A refusal lets the next one in.
    assert clips.add_portrait("b", other).width == 256


def test_portraits_are_kept_for_each_client(avatar):
    portraits = Portraits(most=3, most_each=2)
    # A client pushes out only its own.
    other = portraits.add(avatar.portrait, "a")
    oldest, *others = [portraits.add(avatar.portrait, "b") for _ in range(3)]
    for portrait in (other, *others):
        assert portraits.find(portrait) is avatar.portrait
    with pytest.raises(UnknownPortraitError):
        portraits.find(oldest)


class FullDisk(BytesIO):
    """A file whose copy finds no room."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_nothing_is_left_of_a_clip_after_any_error(clips, voice_file):
    files = {
        "driving": (UploadFile(BytesIO(voice_file), filename="a.wav"), DRIVINGS),
        "source": (UploadFile(FullDisk(), filename="me.png"), SOURCES),
    }
    with pytest.raises(OSError, match="No space left"):
        clips.submit("a", ClipOptions(), files)
    assert list(clips.uploads.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "field", "name"),
    [("/v1/jobs", "driving", "a.wav"), ("/v1/portraits", "picture", "a.png")],
)
# FastAPI brings what is larger than a megabyte to the disk itself.
@pytest.mark.parametrize("size", [200_000, 1_500_000])
def test_a_full_disk_is_named_and_nothing_is_left(
    path, field, name, size, avatar, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with serve(avatar) as full:
        (folder,) = tmp_path.iterdir()
        files = {field: (name, bytes(size))}
        with only_small_files(100_000):
            answer = httpx.post(full.address + path, files=files, timeout=SECONDS)
        assert (answer.status_code, answer.json()) == (507, {"error": NO_ROOM})
        assert list(tmp_path.rglob("*")) == [folder]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_from_other_errors(number):
    assert is_full(OSError(number, "no space"))
    assert not is_full(OSError(errno.EACCES, "no right"))


def test_messages_have_no_path_of_the_server(clips, voice_file):
    output = clips.uploads.folder / "1f.mp4"
    line = (
        f"{output} of {demo.PORTRAIT}: {clips.uploads.folder}/x is in {output.parent}"
    )
    names = clips._names({}, output)
    expected = "the clip of the portrait: x is in the server's folder"
    assert replace_paths(line, names) == expected


def test_the_service_describes_itself(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/health",
        "/v1/jobs",
        "/v1/jobs/{job_id}",
        "/v1/jobs/{job_id}/result",
        "/v1/portraits",
    }
    figures = client.get("/metrics").text
    assert "jaxportrait_slots 2.0" in figures
    assert "jaxportrait_first_frame_seconds_bucket" in figures


def test_a_token_guards_all_but_the_page_and_health(avatar):
    with serve(avatar, token="secret") as service:
        check_token(service)


def check_token(service: Service) -> None:
    with httpx.Client(base_url=service.address) as client:
        for path in ("/metrics", "/openapi.json", "/v1/jobs/1"):
            assert client.get(path).status_code == 401
            wrong = {"Authorization": "Bearer guess"}
            assert client.get(path, headers=wrong).status_code == 401
        right = {"Authorization": "Bearer secret"}
        assert client.get("/metrics", headers=right).status_code == 200
        assert client.get("/health").status_code == 200
        assert client.get("/").status_code == 200


def test_requests_of_other_sites_are_refused(client):
    for headers in (
        {"Origin": "http://elsewhere.example"},
        {"Host": "elsewhere.example"},
        # Another program of this machine, and what is no address.
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://["},
        {"Host": "["},
    ):
        answer = client.get("/health", headers=headers)
        assert answer.status_code == 403


def test_every_option_reaches_the_job(tmp_path):
    text = '{"retargeting": {"region": "lips"}, "box": [1, 2, 30, 40], "crf": 20}'
    options = decode_strictly(text, ClipOptions)
    request = options.request(
        tmp_path / "a.png", tmp_path / "b.wav", tmp_path / "c.mp4", None
    )
    assert request.retargeting.region == "lips"
    np.testing.assert_array_equal(request.box, [1, 2, 30, 40])
    assert request.crf == 20
