"""Frames for renderer training as a user takes them, from a drawn tree in MEAD's shape,
and the steps by hand."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxportrait.media.crop import FaceRectangle, crop_face, network_input
from jaxportrait.media.faces import Detector, Face, open_detector
from jaxportrait.media.track import track_face
from jaxportrait.media.video import VideoReader
from tests.train.videos import HEIGHT, WIDTH, voice, write_head, write_mead_clip
from train.data.frames import FrameRecord, decode_image, open_frames
from train.data.shards import DatasetError
from train.frames import main
from train.prepare.frames.extract import FrameExtractor, FrameRecipe, spread
from train.prepare.frames.landmarks import (
    find_landmarks,
    normalise,
    read_truth,
    stack_landmarks,
    truth_path,
)
from train.prepare.frames.run import cut_frames, make_frames, write_frames
from train.prepare.gather import Job
from train.prepare.split import Piece

KNOWN = "M003/video/front/angry/level_1/001.mp4"
STRANGE = "M003/video/front/angry/level_1/002.mp4"
CORRUPT = "W009/video/front/happy/level_3/002.mp4"
PLAIN = "W009/video/front/happy/level_3/001.mp4"
SHORT = "W011/video/front/fear/level_1/001.mp4"

FRAMES, SIZE, VIDEO_FRAMES = 6, 96, 20


def pupils(seconds: np.ndarray) -> np.ndarray:
    """Where `draw_head` puts them, (f, 2, 2)."""
    x = WIDTH / 2 + 3 * np.sin(2 * np.pi * 0.7 * seconds)
    return np.stack(
        [
            np.stack([x + side * 36, np.full_like(x, HEIGHT / 2 - 6)], -1)
            for side in (-0.42, 0.42)
        ],
        1,
    )


def save_truth(video: Path, frames: int = VIDEO_FRAMES) -> None:
    turned = np.arange(3 * frames).reshape(-1, 3)
    np.savez(
        truth_path(video),
        landmarks=pupils(np.arange(frames) / 30),
        pose=turned,
        opening=np.zeros(frames),
    )


@pytest.fixture(scope="module")
def mead(tmp_path_factory) -> Path:
    """Three subjects, all silent; one clip with its truth, one with another's, one
    corrupt, one of few frames."""
    root = tmp_path_factory.mktemp("mead")
    options = {"sound": False, "seconds": VIDEO_FRAMES / 30}
    save_truth(write_mead_clip(root, "M003", "angry", 1, "001", **options))
    save_truth(write_mead_clip(root, "M003", "angry", 1, "002", **options), 7)
    write_mead_clip(root, "W009", "happy", 3, "001", **options)
    corrupt = write_mead_clip(root, "W009", "happy", 3, "002", **options)
    corrupt.write_bytes(corrupt.read_bytes()[:3000])
    write_mead_clip(root, "W011", "fear", 1, "001", sound=False, seconds=0.1)
    return root


def job_of(root: Path, output: Path, **options) -> Job[FrameRecipe]:
    return Job(root, output, FrameRecipe(SIZE, FRAMES, detector="haar"), **options)


@pytest.fixture(scope="module")
def made(mead, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("made") / "out"
    make_frames(job_of(mead, output), Console(quiet=True))
    return output


def files_of(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}


def records_of(output: Path) -> dict[str, FrameRecord]:
    dataset = open_frames(output)
    return {
        record.clip: record
        for split in ("train", "validation")
        for record in dataset.clips(split)
    }


def test_manifest_says_what_became_of_every_clip(made):
    entries = map(
        json.loads, (made / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    )
    manifest = {entry["clip"]: entry for entry in entries}
    assert {clip for clip, entry in manifest.items() if not entry["reason"]} == {
        KNOWN,
        PLAIN,
        SHORT,
    }
    assert "001.npz" not in manifest[STRANGE]["reason"]
    assert (
        "level_1/002.npz are of shape (7, 2, 2), the video has 20 frames"
        in manifest[STRANGE]["reason"]
    )
    assert "truncated or corrupt" in manifest[CORRUPT]["reason"]
    assert [manifest[clip]["frames"] for clip in (KNOWN, PLAIN, SHORT)] == [
        FRAMES,
        FRAMES,
        3,
    ]
    assert manifest[KNOWN]["seconds"] == pytest.approx(
        (VIDEO_FRAMES - 1) / 30, abs=1e-3
    )


def test_pictures_are_crops_as_published(made, mead):
    video = VideoReader(mead / PLAIN)
    track = track_face(video, open_detector("haar"))
    images = [image for _, image in video]
    for data, index in zip(
        records_of(made)[PLAIN].images, spread(VIDEO_FRAMES, FRAMES), strict=True
    ):
        expected = network_input(
            crop_face(images[index], track.rectangle), SIZE
        ).astype(int)
        assert np.abs(decode_image(data) - expected).mean() < 1


def test_landmarks_sit_on_the_face(made):
    record = records_of(made)[KNOWN]
    assert record.landmarks.shape == (FRAMES, 2, 2)
    places = np.rint((record.landmarks + 1) / 2 * (SIZE - 1)).astype(int)
    for data, ((left, top), (right, bottom)) in zip(record.images, places, strict=True):
        image = decode_image(data)
        assert (
            max(image[top, left].max(), image[bottom, right].max()) < 90
        )  # pupils: the whites are 240, skin 150
    np.testing.assert_array_equal(
        record.pose[:, 0], 3 * np.array(spread(VIDEO_FRAMES, FRAMES))
    )


def test_what_is_not_known_is_said_to_be_unknown(made):
    record = records_of(made)[PLAIN]
    assert record.landmarks.shape == (FRAMES, 0, 2)
    assert np.isnan(record.pose).all()
    assert open_frames(made).landmarks == 2


def test_a_run_that_was_interrupted_goes_on_to_the_same_files(
    made, mead, tmp_path, monkeypatch
):
    output, done = tmp_path / "out", []
    extract = FrameExtractor.extract

    def interrupt_second(self, clip):
        if done:
            raise KeyboardInterrupt
        done.append(clip.name)
        return extract(self, clip)

    monkeypatch.setattr(FrameExtractor, "extract", interrupt_second)
    with pytest.raises(KeyboardInterrupt):
        make_frames(job_of(mead, output), Console(quiet=True))
    with pytest.raises(FileNotFoundError, match="make or finish it"):
        open_frames(output)
    again = []
    monkeypatch.setattr(
        FrameExtractor,
        "extract",
        lambda self, clip: again.append(clip.name) or extract(self, clip),
    )
    make_frames(job_of(mead, output), Console(quiet=True))
    assert done[0] not in again
    assert files_of(output) == files_of(made)


def test_workers_give_the_same_files(made, mead, tmp_path):
    make_frames(job_of(mead, tmp_path / "out", workers=2), Console(quiet=True))
    assert files_of(tmp_path / "out") == files_of(made)


def test_other_truth_makes_another_record(mead, made, tmp_path):
    before = files_of(made)
    path = truth_path(mead / KNOWN)
    truth = path.read_bytes()
    np.savez(path, pose=np.zeros((VIDEO_FRAMES, 3)))
    try:
        make_frames(job_of(mead, tmp_path / "out"), Console(quiet=True))
    finally:
        path.write_bytes(truth)
    assert open_frames(tmp_path / "out").landmarks == 0
    assert open_frames(tmp_path / "out").identity != open_frames(made).identity
    assert files_of(made) == before


def test_a_single_subject_is_split_by_time(tmp_path):
    write_head(tmp_path / "videos" / "speaker" / "a.mp4", seconds=1, sound=voice(1))
    job = Job(
        tmp_path / "videos",
        tmp_path / "out",
        FrameRecipe(64, 30, detector="haar"),
        layout="folder",
    )
    dataset, (entry,) = make_frames(job, Console(quiet=True))
    (train,), (validation,) = (
        list(dataset.clips("train")),
        list(dataset.clips("validation")),
    )
    assert entry.splits == ("train", "validation")
    assert (train.frames, validation.frames) == (27, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "1024"], "--size must be from 32 to 512, got 1024"),
        (["--frames", "1"], "--frames must be at least 2, got 1"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
    ],
)
def test_a_wrong_option_is_one_line_and_status_2(
    arguments, message, mead, tmp_path, monkeypatch, capsys
):
    paths = ["--dataset-path", str(mead), "--output-path", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["frames", *paths, *arguments])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_motion_data_set_is_not_written_over(mead, tmp_path):
    (tmp_path / "dataset.json").touch()
    with pytest.raises(
        ValueError,
        match=r"data set of another kind \(dataset.json\): choose another --output-path",
    ):
        make_frames(job_of(mead, tmp_path), Console(quiet=True))


# Steps


def test_frames_are_spread_evenly():
    assert spread(10, 5) == [1, 3, 5, 7, 9]
    assert spread(3, 5) == [0, 1, 2]
    assert spread(7, 2) == [1, 5]
    with pytest.raises(ValueError, match="1 picture in the video"):
        spread(1, 5)


def test_the_centres_of_corner_pixels_are_one():
    rectangle = FaceRectangle((100, 60), 256)
    corners = np.array([[-28 + 0.25, -68 + 0.25], [227.25, 187.25]])
    np.testing.assert_allclose(
        normalise(corners, rectangle, 256), [[-1, -1], [1, 1]], atol=1e-6
    )


def test_the_detectors_points_of_the_face_in_the_crop_are_taken():
    def face(x: float, fine: bool) -> Face:
        points = np.full((5, 2), x)
        return Face(
            (0, 0, 1, 1),
            1.0,
            FaceRectangle((x, 50), 20),
            None,
            points,
            points[:3] if fine else None,
        )

    image, rectangle = np.zeros((8, 8, 3), np.uint8), FaceRectangle((50, 50), 44)
    for fine, count in ((False, 5), (True, 3)):
        detector = Detector(
            "insightface",
            lambda _, fine=fine: [face(80, fine), face(58, fine), face(45, fine)],
        )
        np.testing.assert_array_equal(
            find_landmarks(image, rectangle, detector), np.full((count, 2), 45)
        )
    assert (
        find_landmarks(
            image, rectangle, Detector("insightface", lambda _: [face(80, False)])
        )
        is None
    )
    assert (
        find_landmarks(image, rectangle, Detector("haar", lambda _: [face(45, False)]))
        is None
    )


def test_frames_without_points_are_nan():
    points = np.ones((4, 2), np.float32)
    stacked = stack_landmarks([None, points])
    assert np.isnan(stacked[0]).all()
    np.testing.assert_array_equal(stacked[1], points)
    assert stack_landmarks([None, None]).shape == (2, 0, 2)


def test_damaged_truth_is_named(tmp_path):
    video = tmp_path / "a.mp4"
    assert read_truth(video, 3).landmarks is None
    save_truth(video, 3)
    whole = truth_path(video).read_bytes()
    for damaged in (whole[:-30], b"text", b""):
        truth_path(video).write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.npz is damaged"):
            read_truth(video, 3)


def record_of(clip: str, points: int) -> FrameRecord:
    landmarks = np.arange(6 * points, dtype=np.float32).reshape(3, points, 2)
    return FrameRecord(
        clip, "s", [b"1", b"2", b"3"], landmarks, np.zeros((3, 3), np.float32)
    )


def test_a_piece_has_its_own_frames():
    cut = cut_frames(record_of("a", 2), Piece("a", "train", 1, 3))
    assert (cut.images, cut.frames, len(cut.pose)) == ([b"2", b"3"], 2, 2)
    np.testing.assert_array_equal(cut.landmarks[0].ravel(), [4, 5, 6, 7])


def test_landmarks_of_one_kind_alone(tmp_path):
    records = {"a": record_of("a", 2), "b": record_of("b", 0), "c": record_of("c", 5)}
    pieces = [Piece(clip, "train", 0, 3) for clip in records]
    assert (
        write_frames(
            tmp_path, pieces[:2], records.__getitem__, FrameRecipe(64)
        ).landmarks
        == 2
    )
    with pytest.raises(DatasetError, match="some clips have 2 landmarks and others 5"):
        write_frames(tmp_path, pieces, records.__getitem__, FrameRecipe(64))
    with pytest.raises(FileNotFoundError):
        open_frames(tmp_path)
