"""Frames for renderer training as a user makes them, from a drawn tree in MEAD's
shape."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxportrait.media.crop import crop_face, network_input
from jaxportrait.media.faces import open_detector
from jaxportrait.media.track import track_face
from jaxportrait.media.video import VideoReader
from jaxportrait.media.write import VideoWriter
from tests.faces import draw_known_head, open_mesh
from tests.train.videos import HEIGHT, WIDTH, voice, write_head, write_mead_clip
from train.data.clips import Clip
from train.data.frames import open_frames
from train.data.landmarks import MESH_GROUPS
from train.data.pictures import FrameRecord, decode_image
from train.data.shards import DatasetError
from train.data.truth import truth_path
from train.frames import main
from train.prepare.frames.extract import FrameExtractor, FrameRecipe, choose_frames
from train.prepare.frames.landmarks import normalise
from train.prepare.frames.run import Options, cut_frames, make_frames, write_frames
from train.prepare.split import Piece
from train.synthetic.landmarks import GROUPS as DRAWN_GROUPS

QUIET = Console(quiet=True)

KNOWN = "M003/video/front/angry/level_1/001.mp4"
STRANGE = "M003/video/front/angry/level_1/002.mp4"
CORRUPT = "W009/video/front/happy/level_3/002.mp4"
PLAIN = "W009/video/front/happy/level_3/001.mp4"
SHORT = "W011/video/front/fear/level_1/001.mp4"

FRAMES = 6
SIZE = 96
VIDEO_FRAMES = 20
GROUPS = ["eye_left", "eye_right"]


def pupils(seconds: np.ndarray) -> np.ndarray:
    """Places where `draw_head` puts the pupils, (f, 2, 2)."""
    x = WIDTH / 2 + 3 * np.sin(2 * np.pi * 0.7 * seconds)
    y = np.full_like(x, HEIGHT / 2 - 6)
    sides = [np.stack([x + side * 36, y], -1) for side in (-0.42, 0.42)]
    return np.stack(sides, 1)


def save_truth(video: Path, frames: int = VIDEO_FRAMES) -> None:
    np.savez(
        truth_path(video),
        landmarks=pupils(np.arange(frames) / 30),
        landmark_groups=np.array(GROUPS),
        pose=np.arange(3 * frames).reshape(-1, 3),
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


def options_of(root: Path, output: Path, **more) -> Options:
    recipe = FrameRecipe(size=SIZE, frames=FRAMES, detector="haar")
    return Options(dataset_path=root, output_path=output, recipe=recipe, **more)


@pytest.fixture(scope="module")
def dataset_path(mead, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("frames") / "out"
    make_frames(options_of(mead, output), QUIET)
    return output


def files_of(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}


def records_of(output: Path) -> dict[str, FrameRecord]:
    dataset = open_frames(output)
    records = [*dataset.clips("train"), *dataset.clips("validation")]
    return {record.clip: record for record in records}


def test_the_manifest_tells_the_fate_of_every_clip(dataset_path):
    lines = (dataset_path / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    manifest = {entry["clip"]: entry for entry in map(json.loads, lines)}
    usable = {clip for clip, entry in manifest.items() if not entry["reason"]}
    assert usable == {KNOWN, PLAIN, SHORT}

    # the truth of another video is no truth
    strange = manifest[STRANGE]["reason"]
    assert "001.npz" not in strange
    message = "level_1/002.npz are of shape (7, 2, 2), the video has 20 frames"
    assert message in strange
    assert "truncated or corrupt" in manifest[CORRUPT]["reason"]

    # a short clip gives all of its frames
    counts = [manifest[clip]["frames"] for clip in (KNOWN, PLAIN, SHORT)]
    assert counts == [FRAMES, FRAMES, 3]
    seconds = (VIDEO_FRAMES - 1) / 30
    assert manifest[KNOWN]["seconds"] == pytest.approx(seconds, abs=1e-3)


def test_pictures_are_crops_as_published(dataset_path, mead):
    video = VideoReader(mead / PLAIN)
    track = track_face(video, open_detector("haar"))

    images = [image for _, image in video]
    record = records_of(dataset_path)[PLAIN]
    numbers = choose_frames(VIDEO_FRAMES, FRAMES)
    for data, index in zip(record.images, numbers, strict=True):
        crop = crop_face(images[index], track.rectangle)
        expected = network_input(crop, SIZE).astype(int)
        assert np.abs(decode_image(data) - expected).mean() < 1


def test_no_frame_is_taken_of_a_scene_without_the_face(tmp_path):
    video = tmp_path / "a.mp4"
    write_head(video, seconds=3, absence=(0.9, 1.9))
    recipe = FrameRecipe(size=SIZE, frames=30, detector="haar")
    extractor = FrameExtractor(recipe)
    record, seconds = extractor.record(Clip("a.mp4", video, video, "a"))
    # the room behind the head has one colour
    contrasts = [decode_image(data).std() for data in record.images]
    assert min(contrasts) > 10
    # the clip is cut at the pictures where the face goes and where it comes back
    assert seconds == pytest.approx(26 / 30 + 32 / 30, abs=0.01)


def test_landmarks_sit_on_the_face(dataset_path):
    record = records_of(dataset_path)[KNOWN]
    assert record.landmarks.shape == (FRAMES, 2, 2)
    places = np.rint((record.landmarks + 1) / 2 * (SIZE - 1)).astype(int)
    for data, ((left, top), (right, bottom)) in zip(record.images, places, strict=True):
        image = decode_image(data)
        # pupils: the whites are 240, skin 150
        assert image[top, left].max() < 90
        assert image[bottom, right].max() < 90

    # the pose is the truth's, of the same frames
    numbers = np.array(choose_frames(VIDEO_FRAMES, FRAMES))
    np.testing.assert_array_equal(record.pose[:, 0], 3 * numbers)


def test_groups_of_landmarks_travel_from_the_truth_to_the_data_set(dataset_path):
    groups = {"eye_left": (0,), "eye_right": (1,)}
    assert records_of(dataset_path)[KNOWN].landmark_groups == groups
    assert open_frames(dataset_path).landmark_groups == groups


def test_a_clip_without_truth_has_no_landmarks_and_no_pose(dataset_path):
    record = records_of(dataset_path)[PLAIN]
    assert record.landmarks.shape == (FRAMES, 0, 2)
    assert record.landmark_groups == {}
    assert np.isnan(record.pose).all()
    assert open_frames(dataset_path).landmarks == 2


def test_crops_remember_their_detector(dataset_path, tmp_path):
    assert open_frames(dataset_path).detector == "haar"
    # Videos that are cropped already need none.
    none = FrameRecipe(size=SIZE, detector="none")
    assert none.crop_detector() is None


def test_the_face_mesh_marks_clips_without_truth(tmp_path):
    open_mesh()
    picture, points = draw_known_head(256)
    video = tmp_path / "videos" / "a" / "1.mp4"
    video.parent.mkdir(parents=True)
    with VideoWriter(video, size=(256, 256), fps=30, audio=None) as writer:
        for _ in range(4):
            writer.write(picture)
    recipe = FrameRecipe(size=SIZE, frames=2, detector="mesh")
    output = tmp_path / "out"
    options = Options(
        dataset_path=tmp_path / "videos",
        output_path=output,
        layout="folder",
        recipe=recipe,
    )
    dataset, _ = make_frames(options, QUIET)
    assert dataset.detector == "mesh"
    assert dataset.landmark_groups == MESH_GROUPS
    (record,) = records_of(output).values()
    assert record.landmarks.shape == (2, 468, 2)
    rectangle = track_face(VideoReader(video), open_mesh()).rectangle
    truth = normalise(points, rectangle, SIZE)
    for name in ("eye_left", "eye_right", "lips_inner"):
        ours = record.landmarks[0, list(MESH_GROUPS[name])].mean(axis=0)
        expected = truth[DRAWN_GROUPS[name]].mean(axis=0)
        np.testing.assert_allclose(ours, expected, atol=0.03)


def test_an_interrupted_run_resumes_to_the_same_files(
    dataset_path, mead, tmp_path, monkeypatch
):
    options = options_of(mead, tmp_path / "out")
    extract = FrameExtractor.extract
    # the second clip is interrupted
    before, after = [], []

    def interrupt_second(self, clip):
        if before:
            raise KeyboardInterrupt
        before.append(clip.name)
        return extract(self, clip)

    def log(self, clip):
        after.append(clip.name)
        return extract(self, clip)

    monkeypatch.setattr(FrameExtractor, "extract", interrupt_second)
    with pytest.raises(KeyboardInterrupt):
        make_frames(options, QUIET)
    with pytest.raises(FileNotFoundError, match="make or finish it"):
        open_frames(options.output_path)
    monkeypatch.setattr(FrameExtractor, "extract", log)
    make_frames(options, QUIET)

    # finished clips are not extracted again
    assert before[0] not in after
    assert files_of(options.output_path) == files_of(dataset_path)


def test_workers_make_the_same_files(dataset_path, mead, tmp_path):
    make_frames(options_of(mead, tmp_path / "out", workers=2), QUIET)
    assert files_of(tmp_path / "out") == files_of(dataset_path)


def test_other_truth_makes_another_record(mead, dataset_path, tmp_path):
    before = files_of(dataset_path)
    path = truth_path(mead / KNOWN)
    # the landmarks go, and the pose stays
    truth = path.read_bytes()
    np.savez(path, pose=np.zeros((VIDEO_FRAMES, 3)))
    try:
        make_frames(options_of(mead, tmp_path / "out"), QUIET)
    finally:
        path.write_bytes(truth)
    dataset = open_frames(tmp_path / "out")
    assert dataset.landmarks == 0
    assert dataset.identity != open_frames(dataset_path).identity
    assert files_of(dataset_path) == before


def test_a_single_subject_is_split_by_time(tmp_path):
    write_head(tmp_path / "videos" / "speaker" / "a.mp4", seconds=1, sound=voice(1))
    options = options_of(tmp_path / "videos", tmp_path / "out", layout="folder")
    recipe = replace(options.recipe, size=64, frames=30)
    dataset, (entry,) = make_frames(replace(options, recipe=recipe), QUIET)

    # the last tenth of the time validates
    (train,) = dataset.clips("train")
    (validation,) = dataset.clips("validation")
    assert entry.splits == ("train", "validation")
    assert (train.frames, validation.frames) == (27, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--selection", "1"], "Unrecognized options"),
        (["--detector", "none", "--zoom", "1.5"], "leave out either"),
    ],
)
def test_a_wrong_option_ends_with_status_2(
    arguments, message, mead, tmp_path, monkeypatch, capsys
):
    paths = ["--dataset-path", str(mead), "--output-path", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["frames", *paths, *arguments])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_motion_data_set_is_not_written_over(mead, tmp_path):
    (tmp_path / "dataset.json").touch()
    message = r"of another kind \(dataset.json\): choose another --output-path"
    with pytest.raises(ValueError, match=message):
        make_frames(options_of(mead, tmp_path), QUIET)


# Pieces of records


def record_of(clip: str, points: int, **groups: tuple[int, ...]) -> FrameRecord:
    landmarks = np.arange(6 * points, dtype=np.float32).reshape(3, points, 2)
    pose = np.zeros((3, 3), np.float32)
    return FrameRecord(clip, "s", [b"1", b"2", b"3"], landmarks, pose, groups)


def write(folder: Path, *records: FrameRecord):
    pieces = [Piece(record.clip, "train", 0, 3) for record in records]
    by_name = {record.clip: record for record in records}
    return write_frames(folder, pieces, by_name.__getitem__, FrameRecipe(size=64))


def test_a_piece_has_its_own_frames():
    part = cut_frames(record_of("a", 2, nose=(0, 1)), Piece("a", "train", 1, 3))
    assert (part.images, part.frames, len(part.pose)) == ([b"2", b"3"], 2, 2)
    np.testing.assert_array_equal(part.landmarks[0].ravel(), [4, 5, 6, 7])
    assert part.landmark_groups == {"nose": (0, 1)}


def test_a_data_set_has_landmarks_of_one_kind_only(tmp_path):
    two, none, five = record_of("a", 2), record_of("b", 0), record_of("c", 5)
    assert write(tmp_path, two, none).landmarks == 2
    with pytest.raises(DatasetError, match="some clips have 2 landmarks and others 5"):
        write(tmp_path, two, none, five)
    with pytest.raises(FileNotFoundError):
        open_frames(tmp_path)


def test_a_data_set_has_groups_of_one_kind_only(tmp_path):
    plain = record_of("a", 2)
    eyes = record_of("b", 2, eye_left=(0,), eye_right=(1,))
    lips = record_of("c", 2, lips_outer=(0, 1))
    assert write(tmp_path, plain, eyes).landmark_groups == eyes.landmark_groups
    with pytest.raises(DatasetError, match="landmarks of c are grouped otherwise"):
        write(tmp_path, plain, eyes, lips)


def test_frames_are_chosen_evenly():
    assert choose_frames(10, 5) == [1, 3, 5, 7, 9]
    assert choose_frames(3, 5) == [0, 1, 2]
    assert choose_frames(7, 2) == [1, 5]
    with pytest.raises(ValueError, match="1 picture in the video"):
        choose_frames(1, 5)
