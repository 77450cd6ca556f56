"""Processing as a user runs it, on a drawn tree in MEAD's shape, and its steps on
figures known by hand."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.features.registry import load_features
from jaxportrait.media.audio import Audio
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face, NoFaceError
from jaxportrait.media.track import track_face
from tests.train.videos import save_tiny_checkpoint, voice, write_head, write_mead_clip
from train.data.clips import Selection, find_clips
from train.data.records import features_needed, open_dataset
from train.prepare.gather import Job
from train.prepare.manifest import Entry
from train.prepare.motion.extract import Extractor, Settings
from train.prepare.motion.run import process
from train.prepare.motion.statistics import MotionMoments
from train.prepare.motion.timeline import common_frames, loudness, motion_at
from train.prepare.motion.write import cut_record
from train.prepare.split import Piece
from train.prepare.split import split_clips as divide
from train.prepare.store import ClipStore
from train.process import main

CORRUPT = "M003/video/front/angry/level_1/002.mp4"
FACELESS = "M003/video/front/neutral/level_1/001.mp4"
SOUNDLESS = "W009/video/front/angry/level_2/001.mp4"
SLOW = "W009/video/front/happy/level_3/001.mp4"
PLAIN = (
    "M003/video/front/angry/level_1/001.mp4",
    "W011/video/front/fear/level_1/001.mp4",
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="module")
def mead(tmp_path_factory) -> Path:
    """Three subjects; one video corrupt, one without a face, one without sound, one at
    25 fps, one from the side."""
    root = tmp_path_factory.mktemp("mead")
    write_mead_clip(root, "M003", "angry", 1, "001")
    corrupt = write_mead_clip(root, "M003", "angry", 1, "002")
    corrupt.write_bytes(corrupt.read_bytes()[:3000])
    write_mead_clip(root, "M003", "neutral", 1, "001", face=False)
    write_mead_clip(root, "W009", "angry", 2, "001", sound=False)
    write_mead_clip(root, "W009", "happy", 3, "001", fps=25)
    write_mead_clip(root, "W011", "fear", 1, "001")
    write_mead_clip(root, "W011", "fear", 1, "001", angle="left_30")
    return root


def job_of(root: Path, output: Path, checkpoint: Path, **options) -> Job:
    return Job(root, output, Settings(checkpoint, detector="haar"), **options)


@pytest.fixture(scope="module")
def processed(mead, checkpoint, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("processed") / "out"
    process(job_of(mead, output, checkpoint), Console(quiet=True))
    return output


def manifest_of(output: Path) -> dict[str, dict]:
    lines = (output / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry["clip"]: entry for entry in map(json.loads, lines)}


def files_of(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}


def records_of(output: Path) -> dict:
    dataset = open_dataset(output)
    return {
        record.clip: record
        for split in ("train", "validation")
        for record in dataset.clips(split)
    }


def test_manifest_says_what_became_of_every_clip(processed):
    manifest = manifest_of(processed)
    assert list(manifest) == sorted({CORRUPT, FACELESS, SOUNDLESS, SLOW, *PLAIN})
    assert {clip for clip, entry in manifest.items() if not entry["reason"]} == {
        SLOW,
        *PLAIN,
    }
    assert "truncated or corrupt" in manifest[CORRUPT]["reason"]
    assert "steady face in 0 of 6 looks" in manifest[FACELESS]["reason"]
    assert (
        "W009/audio/angry/level_2/001.m4a does not exist"
        in manifest[SOUNDLESS]["reason"]
    )
    slow = manifest[SLOW]
    assert (slow["subject"], slow["emotion"], slow["level"]) == ("W009", "happy", 3)
    assert (slow["frames"], slow["seconds"], len(slow["checksum"])) == (36, 1.2, 64)
    assert all(entry["splits"] == [] for entry in manifest.values() if entry["reason"])


def test_records_hold_motion_and_the_features_of_inference(processed, mead, checkpoint):
    records = records_of(processed)
    assert set(records) == {SLOW, *PLAIN}
    for clip, record in records.items():
        assert record.motion.shape == (36, 70)
        assert record.motion.dtype == np.float32
        assert np.ptp(record.motion, axis=0).max() > 0
        sound = mead / clip.replace("video/front", "audio").replace(".mp4", ".m4a")
        audio = Audio.open(sound)
        whisper = load_features(open_checkpoint(checkpoint))
        expected = whisper.encode(audio.stream, 60)
        np.testing.assert_array_equal(record.features, expected.astype(np.float16))
        assert record.envelope.shape == (36,)


def test_statistics_are_those_of_two_passes_over_the_train_split(processed):
    dataset = open_dataset(processed)
    motion = np.concatenate(
        [record.motion for record in dataset.clips("train")]
    ).astype(np.float64)
    assert dataset.sizes["train"].frames == len(motion)
    np.testing.assert_allclose(
        dataset.mean, motion.mean(axis=0), rtol=1e-13, atol=1e-15
    )
    np.testing.assert_allclose(
        dataset.deviation, motion.std(axis=0, ddof=1), rtol=1e-12
    )


def test_subjects_do_not_cross_splits(processed):
    dataset = open_dataset(processed)
    subjects = [
        {record.subject for record in dataset.clips(split)}
        for split in ("train", "validation")
    ]
    assert len(subjects[1]) == 1
    assert not subjects[0] & subjects[1]


def test_a_run_that_was_interrupted_goes_on_to_the_same_files(
    processed, mead, checkpoint, tmp_path, monkeypatch
):
    output, done = tmp_path / "out", []
    extract = Extractor.extract

    def interrupt_second(self, clip):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(clip.name)
        return extract(self, clip)

    monkeypatch.setattr(Extractor, "extract", interrupt_second)
    with pytest.raises(KeyboardInterrupt):
        process(job_of(mead, output, checkpoint), Console(quiet=True))
    with pytest.raises(FileNotFoundError, match="make or finish it"):
        open_dataset(output)
    again = []
    monkeypatch.setattr(
        Extractor,
        "extract",
        lambda self, clip: again.append(clip.name) or extract(self, clip),
    )
    process(job_of(mead, output, checkpoint), Console(quiet=True))
    assert done[0] not in again
    assert files_of(output) == files_of(processed)


def test_workers_give_the_same_files_even_if_one_is_killed(
    processed, mead, checkpoint, tmp_path, monkeypatch
):
    output, killed = tmp_path / "out", []
    put = ClipStore.put

    def kill_a_worker(self, clip, outcome):
        if not killed:
            killed.append(active_children()[0])
            killed[0].kill()
        put(self, clip, outcome)

    monkeypatch.setattr(ClipStore, "put", kill_a_worker)
    process(job_of(mead, output, checkpoint, workers=2), Console(quiet=True))
    reasons = [entry["reason"] for entry in manifest_of(output).values()]
    assert (
        sum("its worker was killed (exit status -9)" in reason for reason in reasons)
        == 1
    )
    process(job_of(mead, output, checkpoint), Console(quiet=True))
    assert files_of(output) == files_of(processed)


@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed (extra `cluster`)"
)
def test_a_ray_cluster_gives_the_same_files(processed, mead, checkpoint, tmp_path):
    output = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "train.process",
        "--dataset-path",
        mead,
        "--output-path",
        output,
    ]
    command += [
        "--checkpoint",
        checkpoint,
        "--detector",
        "haar",
        "--engine",
        "ray",
        "--workers",
        "2",
    ]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert files_of(output) == files_of(processed)
    assert "validation" in run.stdout


def test_a_single_subject_is_split_by_time(checkpoint, tmp_path):
    write_head(tmp_path / "videos" / "speaker" / "a.mp4", seconds=3, sound=voice(3))
    job = job_of(tmp_path / "videos", tmp_path / "out", checkpoint, layout="folder")
    dataset, (entry,) = process(job, Console(quiet=True), "face")
    (train,), (validation,) = (
        list(dataset.clips("train")),
        list(dataset.clips("validation")),
    )
    assert entry.splits == ("train", "validation")
    assert (train.start, train.frames, validation.start, validation.frames) == (
        0,
        60,
        60,
        30,
    )
    assert len(validation.features) == 50
    assert open_dataset(tmp_path / "out").motion_space == "face"


def test_nothing_to_train_on_is_one_line_and_status_2(
    checkpoint, tmp_path, monkeypatch, capsys
):
    write_head(tmp_path / "videos" / "empty.mp4", face=False, sound=voice(1.2))
    write_head(tmp_path / "videos" / "mute.mp4")
    arguments = [
        "--layout",
        "folder",
        "--dataset-path",
        tmp_path / "videos",
        "--output-path",
        tmp_path / "out",
    ]
    monkeypatch.setattr(
        sys, "argv", ["process", *map(str, arguments), "--checkpoint", str(checkpoint)]
    )
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "error: none of 2 clips is left to train on (the haar detector finds a steady face in 0 of 6"
    )
    assert "has no audio stream" in manifest_of(tmp_path / "out")["mute.mp4"]["reason"]


# Layouts


def test_mead_filters(mead):
    def names(**selection):
        return [clip.name for clip in find_clips(mead, "mead", Selection(**selection))]

    assert names(subjects=("W011",)) == [PLAIN[1]]
    assert names(subjects=("W011",), angles=("all",)) == [
        PLAIN[1],
        PLAIN[1].replace("front", "left_30"),
    ]
    assert names(emotions=("angry",), levels=(2,)) == [SOUNDLESS]
    with pytest.raises(
        ValueError, match=r"no subject X1 \(there are: M003, W009, W011\)"
    ):
        names(subjects=("X1",))
    with pytest.raises(
        ValueError, match=r"no angle lfet_30 \(there are: front, left_30\)"
    ):
        names(angles=("front", "lfet_30"))
    with pytest.raises(ValueError, match="widen them"):
        names(subjects=("M003",), levels=(3,))


def test_folder_subjects(tmp_path):
    for name in ("b/deep/1.mp4", "b/2.MOV", "a.mkv", ".hidden/3.mp4", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    clips = find_clips(tmp_path, "folder", Selection())
    assert [(clip.name, clip.subject) for clip in clips] == [
        ("a.mkv", "a"),
        ("b/2.MOV", "b"),
        ("b/deep/1.mp4", "b"),
    ]
    with pytest.raises(ValueError, match="--layout mead alone"):
        find_clips(tmp_path, "folder", Selection(emotions=("angry",)))
    with pytest.raises(ValueError, match="no video in the mead layout"):
        find_clips(tmp_path, "mead", Selection())
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_clips(tmp_path / "absent", "mead", Selection())


# Tracking


def detector_of(find) -> Detector:
    return Detector("drawn", find)


def face_at(x: float, y: float, size: float = 40.0) -> Face:
    return Face(
        (x - size / 2, y - size / 2, x + size / 2, y + size / 2),
        1.0,
        FaceRectangle((x, y), size),
    )


def clip_of(seconds: float, fps: float = 10):
    """Frames whose first pixel is their number."""
    for index in range(round(seconds * fps)):
        yield index / fps, np.full((8, 8, 3), index, np.uint8)


def test_box_is_the_mean_over_frames_framed_as_published():
    track = track_face(
        clip_of(1.1), detector_of(lambda image: [face_at(100 + image[0, 0, 0], 60)])
    )
    assert track.rectangle.size == pytest.approx(2.2 * 40)
    assert track.rectangle.center == pytest.approx((105, 60 - 0.1 * 2.2 * 40))
    assert track.rectangle.angle == 0
    np.testing.assert_allclose(track.times, np.arange(11) / 10)


def test_the_largest_face_is_followed_and_strays_are_left_out():
    def find(image):
        first = (
            [face_at(300, 60, 30)]
            if image[0, 0, 0] > 0
            else [face_at(300, 60, 30), face_at(100, 60, 40)]
        )
        return first if image[0, 0, 0] == 4 else [*first, face_at(101, 60, 40)]

    track = track_face(clip_of(2), detector_of(find))
    assert track.rectangle.center[0] == pytest.approx(101, abs=0.6)


def test_a_face_seldom_seen_is_none():
    with pytest.raises(NoFaceError, match="1 of 5 looks"):
        track_face(
            clip_of(1),
            detector_of(lambda image: [face_at(9, 9)] if image[0, 0, 0] == 2 else []),
        )


# Clocks


@pytest.mark.parametrize(
    ("fps", "count", "frames"),
    [(30, 36, 36), (25, 30, 36), (60, 72, 36), (24000 / 1001, 24, 30)],
)
def test_any_frame_rate_becomes_thirty(fps, count, frames):
    times = np.arange(count) / fps
    at = common_frames(times, 0.0, 10.0)
    np.testing.assert_array_equal(at, np.arange(frames))
    motion = np.stack([np.sin(times), 90 * times], axis=1)
    resampled = motion_at(motion, times, at / 30)
    inside = at / 30 <= times[-1]
    np.testing.assert_allclose(resampled[inside, 1], 90 * at[inside] / 30, atol=1e-4)
    np.testing.assert_allclose(resampled[inside, 0], np.sin(at[inside] / 30), atol=3e-4)


def test_frames_start_where_pictures_and_a_feature_do():
    times = np.arange(60) / 30
    np.testing.assert_array_equal(
        common_frames(times + 0.25, 0.0, 10.0), np.arange(9, 67)
    )
    np.testing.assert_array_equal(common_frames(times, 0.5, 10.0), np.arange(0, 45))
    np.testing.assert_array_equal(common_frames(times, 0.0, 1.5), np.arange(0, 48))


def test_gaps_and_short_clips_are_refused():
    with pytest.raises(ValueError, match=r"no picture for 1\.00 s after 0\.47 s"):
        common_frames(
            np.concatenate([np.arange(15), np.arange(44, 90)]) / 30, 0.0, 10.0
        )
    with pytest.raises(ValueError, match=r"0\.50 s of pictures with sound"):
        common_frames(np.arange(15) / 30, 0.0, 10.0)
    with pytest.raises(ValueError, match="1 picture"):
        common_frames(np.zeros(1), 0.0, 10.0)


def test_loudness_does_not_depend_on_chunks():
    samples = np.concatenate([np.zeros(8000), np.full(8000, 0.5)]).astype(np.float32)
    whole = loudness([samples], np.arange(45))
    np.testing.assert_array_equal(
        whole, loudness(np.array_split(samples, 7), np.arange(45))
    )
    np.testing.assert_allclose(
        whole[[3, 14, 16, 29, 31, 44]], [0, 0, 0.5, 0.5, 0, 0], atol=1e-7
    )
    np.testing.assert_array_equal(loudness([samples], np.arange(12, 45)), whole[12:])


# Splits and statistics


def split_clips(entries: list[Entry]) -> list[Piece]:
    return divide(entries, least=30, step=3)


def entry_of(
    clip: str, subject: str, frames: int, emotion: str = "", level: int = 0
) -> Entry:
    return Entry(clip, subject, emotion, level, frames, frames / 30, "")


def test_a_tenth_of_the_subjects_is_held_out():
    entries = [
        entry_of(f"{subject}/{clip}", f"{subject}", 60)
        for subject in range(20)
        for clip in range(2)
    ]
    pieces = split_clips(entries)
    held_out = {
        piece.clip.split("/")[0] for piece in pieces if piece.split == "validation"
    }
    assert len(held_out) == 2
    assert len(pieces) == 40
    assert split_clips(entries[::-1]) == pieces


def test_time_is_split_within_each_emotion():
    entries = [
        entry_of(f"{emotion}{clip}", "M003", 90, emotion, 1)
        for emotion in ("angry", "sad")
        for clip in range(10)
    ]
    held_out = [piece for piece in split_clips(entries) if piece.split == "validation"]
    assert held_out == [
        Piece("angry9", "validation", 0, 90),
        Piece("sad9", "validation", 0, 90),
    ]


def test_no_piece_is_under_a_window():
    for frames in range(30, 400, 7):
        for piece in split_clips([entry_of("a", "s", frames), entry_of("b", "s", 45)]):
            assert piece.stop - piece.start >= 30
            assert piece.start % 3 == 0
    assert split_clips([entry_of("a", "s", 45)]) == [Piece("a", "train", 0, 45)]


@pytest.mark.parametrize("frames", [30, 600, 601, 700, 1199, 1200, 1201, 18_001])
def test_a_long_clip_is_cut_into_equal_parts(frames):
    entries = [entry_of("a", "one", frames), entry_of("b", "two", frames)]
    pieces = divide(entries, least=30, step=3, most=600)
    held_out = [piece for piece in pieces if piece.split == "validation"]
    parts = [piece for piece in pieces if piece.split == "train"]
    assert [piece.frames for piece in held_out] == [frames]
    assert len(parts) == -(-frames // 600)
    assert [piece.start for piece in parts] == [
        0,
        *[piece.stop for piece in parts[:-1]],
    ]
    assert parts[-1].stop == frames
    assert all(piece.start % 3 == 0 for piece in parts)
    assert (
        max(piece.frames for piece in parts) - min(piece.frames for piece in parts) <= 6
    )


def test_cut_features_cover_the_cut_frames(processed):
    record = next(iter(records_of(processed).values()))
    cut = cut_record(record, Piece(record.clip, "train", 3, 35))
    np.testing.assert_array_equal(
        cut.features, record.features[5 : 5 + features_needed(32)]
    )
    np.testing.assert_array_equal(cut.motion, record.motion[3:35])
    assert replace(cut, start=0).frames == 32


def test_moments_keep_small_deviations_on_large_means():
    values = (
        1e4
        + np.random.default_rng(0).standard_normal((999, 70)).astype(np.float64) * 1e-3
    )
    moments = MotionMoments()
    for part in np.array_split(values, 13):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(moments.deviation, values.std(axis=0, ddof=1), rtol=1e-8)
