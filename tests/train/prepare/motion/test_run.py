"""Processing as a user runs it, on a drawn tree in MEAD's shape."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxportrait import demo
from jaxportrait.checkpoint import CheckpointError, open_checkpoint, save_checkpoint
from jaxportrait.features.registry import load_features
from jaxportrait.media.audio import Audio
from jaxportrait.models.log_mel import LogMelConfig
from tests.media.audio.sounds import without_packets, write_sound
from tests.train.videos import save_tiny_checkpoint, voice, write_head, write_mead_clip
from train.data.clips import Clip
from train.data.dataset import open_dataset
from train.data.records import ClipRecord
from train.data.truth import truth_path
from train.prepare.motion.extract import MotionClipExtractor, MotionRecipe
from train.prepare.motion.run import Options, process
from train.prepare.store import ClipStore
from train.process import main

QUIET = Console(quiet=True)

CORRUPT = "M003/video/front/angry/level_1/002.mp4"
FACELESS = "M003/video/front/neutral/level_1/001.mp4"
SOUNDLESS = "W009/video/front/angry/level_2/001.mp4"
SLOW = "W009/video/front/happy/level_3/001.mp4"
PLAIN = (
    "M003/video/front/angry/level_1/001.mp4",
    "W011/video/front/fear/level_1/001.mp4",
)
USABLE = {SLOW, *PLAIN}


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
    slow = write_mead_clip(root, "W009", "happy", 3, "001", fps=25)
    np.savez(truth_path(slow), closures=[[0.5, 0.6]])
    write_mead_clip(root, "W011", "fear", 1, "001")
    write_mead_clip(root, "W011", "fear", 1, "001", angle="left_30")
    return root


def options_of(root: Path, output: Path, checkpoint: Path, **more) -> Options:
    recipe = MotionRecipe(checkpoint=checkpoint, detector="haar")
    return Options(dataset_path=root, output_path=output, recipe=recipe, **more)


@pytest.fixture(scope="module")
def dataset_path(mead, checkpoint, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("processed") / "out"
    process(options_of(mead, output, checkpoint), QUIET)
    return output


def manifest_of(output: Path) -> dict[str, dict]:
    lines = (output / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry["clip"]: entry for entry in map(json.loads, lines)}


def files_of(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}


def records_of(output: Path) -> dict[str, ClipRecord]:
    dataset = open_dataset(output)
    records = [*dataset.clips("train"), *dataset.clips("validation")]
    return {record.clip: record for record in records}


def test_the_manifest_tells_the_fate_of_every_clip(dataset_path):
    manifest = manifest_of(dataset_path)
    assert list(manifest) == sorted({CORRUPT, FACELESS, SOUNDLESS, *USABLE})
    failures = {clip: entry for clip, entry in manifest.items() if entry["reason"]}
    assert manifest.keys() - failures.keys() == USABLE
    assert "truncated or corrupt" in failures[CORRUPT]["reason"]
    assert "steady face in 0 of 6 looks" in failures[FACELESS]["reason"]
    missing = "W009/audio/angry/level_2/001.m4a does not exist"
    assert missing in failures[SOUNDLESS]["reason"]
    assert all(entry["splits"] == [] for entry in failures.values())

    # a clip at 25 frames a second has 36 frames of motion
    slow = manifest[SLOW]
    assert (slow["subject"], slow["emotion"], slow["level"]) == ("W009", "happy", 3)
    assert (slow["frames"], slow["seconds"], len(slow["checksum"])) == (36, 1.2, 64)


def test_records_hold_motion_and_the_features_of_inference(
    dataset_path, mead, checkpoint
):
    records = records_of(dataset_path)
    whisper = load_features(open_checkpoint(checkpoint))
    assert set(records) == USABLE
    for clip, record in records.items():
        assert record.motion.shape == (36, 70)
        assert record.motion.dtype == np.float32
        assert np.ptp(record.motion, axis=0).max() > 0
        sound = mead / clip.replace("video/front", "audio").replace(".mp4", ".m4a")
        # features are those of the whole sound
        audio = Audio.open(sound)
        expected = whisper.encode(audio.stream, 60)
        np.testing.assert_array_equal(record.features, expected.astype(np.float16))
        assert record.envelope.shape == (36,)


def test_emotion_and_level_are_the_labels_of_a_record(dataset_path):
    records = records_of(dataset_path)
    assert records[SLOW].labels == {"emotion": "happy", "level": 3}


def test_closures_of_a_truth_file_are_in_frames(dataset_path):
    records = records_of(dataset_path)
    # the record starts with the clip, at 30 frames a second
    assert records[SLOW].start == 0
    np.testing.assert_allclose(records[SLOW].closures, [[15, 18]], atol=1e-4)
    assert records[PLAIN[0]].closures is None


def test_statistics_are_those_of_two_passes_over_the_train_split(dataset_path):
    dataset = open_dataset(dataset_path)
    parts = [record.motion for record in dataset.clips("train")]
    motion = np.concatenate(parts).astype(np.float64)

    mean = motion.mean(axis=0)
    deviation = motion.std(axis=0, ddof=1)
    assert dataset.sizes["train"].frames == len(motion)
    np.testing.assert_allclose(dataset.mean, mean, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(dataset.deviation, deviation, rtol=1e-12)


def test_subjects_do_not_cross_splits(dataset_path):
    dataset = open_dataset(dataset_path)
    train = {record.subject for record in dataset.clips("train")}
    validation = {record.subject for record in dataset.clips("validation")}
    assert len(validation) == 1
    assert not train & validation


def test_an_interrupted_run_resumes_to_the_same_files(
    dataset_path, mead, checkpoint, tmp_path, monkeypatch
):
    options = options_of(mead, tmp_path / "out", checkpoint)
    extract = MotionClipExtractor.extract
    # the third clip is interrupted
    before, after = [], []

    def interrupt_third(self, clip):
        if len(before) == 2:
            raise KeyboardInterrupt
        before.append(clip.name)
        return extract(self, clip)

    def log(self, clip):
        after.append(clip.name)
        return extract(self, clip)

    monkeypatch.setattr(MotionClipExtractor, "extract", interrupt_third)
    with pytest.raises(KeyboardInterrupt):
        process(options, QUIET)
    with pytest.raises(FileNotFoundError, match="make or finish it"):
        open_dataset(options.output_path)
    monkeypatch.setattr(MotionClipExtractor, "extract", log)
    process(options, QUIET)

    # finished clips are not extracted again
    assert before[0] not in after
    assert files_of(options.output_path) == files_of(dataset_path)


def test_workers_make_the_same_files_even_if_they_are_killed(
    dataset_path, mead, checkpoint, tmp_path, monkeypatch
):
    options = options_of(mead, tmp_path / "out", checkpoint, workers=2)
    put = ClipStore.put
    killed = []

    def kill_workers(self, clip, outcome):
        if not killed:
            # the first clip is ready: both workers are within another one
            time.sleep(0.2)
            killed.extend(active_children())
            for child in killed:
                child.kill()
        put(self, clip, outcome)

    monkeypatch.setattr(ClipStore, "put", kill_workers)
    process(options, QUIET)
    reasons = [entry["reason"] for entry in manifest_of(options.output_path).values()]
    message = "its worker was killed (exit status -9)"
    assert 1 <= sum(message in reason for reason in reasons) <= 2
    process(replace(options, workers=1), QUIET)
    assert files_of(options.output_path) == files_of(dataset_path)


@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed (extra `cluster`)"
)
@pytest.mark.usefixtures("only_cluster")
def test_a_ray_cluster_makes_the_same_files(dataset_path, mead, checkpoint, tmp_path):
    output = tmp_path / "out"
    paths = ["--dataset-path", mead, "--output-path", output]
    networks = ["--checkpoint", checkpoint, "--detector", "haar"]
    engine = ["--engine", "ray", "--workers", "2"]
    command = [sys.executable, "-m", "train.process", *paths, *networks, *engine]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert files_of(output) == files_of(dataset_path)
    assert "validation" in run.stdout


def test_sound_that_cannot_be_leaves_a_clip_out_before_its_pictures_are_read(
    checkpoint, tmp_path
):
    samples = np.full((16_000, 1), 0.1, np.float32)
    whole = write_sound(tmp_path / "whole.wav", samples, 16_000, "pcm_f32le")
    samples[12_000] = np.nan
    torn = write_sound(tmp_path / "torn.wav", samples, 16_000, "pcm_f32le")
    data = bytearray(whole.read_bytes())
    # bytes 24 to 27 of a WAVE header are its sample rate
    data[24:28] = (2_000_000_000).to_bytes(4, "little")
    fast = tmp_path / "fast.wav"
    fast.write_bytes(data)
    extractor = MotionRecipe(checkpoint=checkpoint, detector="haar").extractor()
    for sound, reason in {
        torn: "a sample that is not a finite number at 0.7500 s",
        fast: "a sample rate of 2000000000 Hz",
        whole: "a.mp4 does not exist",
    }.items():
        clip = Clip("a.mp4", tmp_path / "a.mp4", sound, "speaker")
        outcome = extractor.extract(clip)
        assert outcome.record is None
        assert reason in outcome.entry.reason


def test_a_clip_that_lacks_sound_has_a_remark(checkpoint, tmp_path):
    video = write_head(tmp_path / "a.mp4", seconds=1.2)
    hum = np.resize(np.float32([0.2, 0.1, -0.1, -0.2]), (60_000, 1))
    whole = write_sound(tmp_path / "a.mka", hum, 48_000, "libopus")
    extractor = MotionRecipe(checkpoint=checkpoint, detector="haar").extractor()
    cut = Clip("a.mp4", video, without_packets(whole, range(20, 22)), "speaker")
    remark = "0.04 s of the sound are missing, from 0.39 s on: silence replaces them"
    assert extractor.extract(cut).entry.remark == remark
    # the next clip has none
    entry = extractor.extract(replace(cut, sound=whole)).entry
    assert (entry.remark, entry.frames) == ("", 36)


def test_a_single_subject_is_split_by_time(checkpoint, tmp_path):
    write_head(tmp_path / "videos" / "speaker" / "a.mp4", seconds=3, sound=voice(3))
    layout = {"layout": "folder", "motion": "face"}
    options = options_of(tmp_path / "videos", tmp_path / "out", checkpoint, **layout)
    dataset, (entry,) = process(options, QUIET)
    (train,) = dataset.clips("train")
    (validation,) = dataset.clips("validation")

    # the last tenth is less than a window, so a window validates
    assert entry.splits == ("train", "validation")
    assert (train.start, train.frames) == (0, 60)
    assert (validation.start, validation.frames) == (60, 30)
    assert len(validation.features) == 50
    assert train.labels == {}
    assert open_dataset(tmp_path / "out").motion_space == "face"


def test_a_scene_without_the_face_is_cut_out(checkpoint, tmp_path):
    # the second part is longer
    video = tmp_path / "videos" / "speaker" / "a.mp4"
    write_head(video, seconds=4, sound=voice(4), absence=(0.8, 1.8))
    options = options_of(
        tmp_path / "videos", tmp_path / "out", checkpoint, layout="folder"
    )
    dataset, (entry,) = process(options, QUIET)
    assert entry.remark == (
        "cut at: scene cut at 0.80 s, scene cut at 1.80 s; "
        "the face is out of sight from 0.77 to 1.80 s"
    )
    # the second part starts at frame 54 of 120
    assert (entry.reason, entry.frames) == ("", 66)

    # motion is that of the clip without the scene
    (train,) = dataset.clips("train")
    whole = tmp_path / "whole" / "speaker" / "a.mp4"
    write_head(whole, seconds=4, sound=voice(4))
    options = options_of(
        tmp_path / "whole", tmp_path / "other", checkpoint, layout="folder"
    )
    other, _ = process(options, QUIET)
    (expected,) = other.clips("train")
    assert train.start == 54
    np.testing.assert_allclose(
        train.motion, expected.motion[54 : 54 + train.frames], atol=0.02
    )


def test_a_clip_that_shows_the_face_too_shortly_is_left_out(checkpoint, tmp_path):
    for name in ("a", "b"):
        absence = (0.8, 1.8) if name == "b" else (0, 0)
        video = tmp_path / "videos" / name / "clip.mp4"
        write_head(video, seconds=2.6, sound=voice(2.6), absence=absence)
    options = options_of(
        tmp_path / "videos", tmp_path / "out", checkpoint, layout="folder"
    )
    _, (whole, short) = process(options, QUIET)
    assert (whole.reason, whole.remark) == ("", "")
    assert short.reason == (
        "0.80 s of pictures with sound: a clip needs 1.00 s "
        "(the face is out of sight from 0.77 to 1.80 s)"
    )


def test_nothing_to_train_on_is_one_line_and_status_2(
    checkpoint, tmp_path, monkeypatch, capsys
):
    write_head(tmp_path / "videos" / "empty.mp4", face=False, sound=voice(1.2))
    write_head(tmp_path / "videos" / "mute.mp4")
    paths = ["--dataset-path", tmp_path / "videos", "--output-path", tmp_path / "out"]
    networks = ["--checkpoint", checkpoint, "--detector", "haar"]
    arguments = ["--layout", "folder", *networks, *paths]
    monkeypatch.setattr(sys, "argv", ["process", *map(str, arguments)])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "error: none of 2 clips is left to train on (the haar detector finds a steady face in 0 of 6"
    )
    assert "has no audio stream" in manifest_of(tmp_path / "out")["mute.mp4"]["reason"]


def test_auto_finds_faces_as_for_the_networks_of_the_checkpoint():
    # The demo's crops were made with Haar.
    recipe = MotionRecipe(checkpoint=demo.CHECKPOINT)
    assert recipe.open_detector().name == "haar"
    assert recipe.remarks() == ["faces are found by haar, as in the networks' training"]
    # A detector that is named needs no word.
    assert replace(recipe, detector="none").remarks() == []


def test_of_several_audio_encoders_one_is_named(checkpoint, tmp_path):
    source = open_checkpoint(checkpoint)
    leaves = {part: source.leaves(part) for part in source.parts}
    parts = {**source.parts, "log_mel": LogMelConfig(8)}
    both = tmp_path / "both"
    save_checkpoint(
        both, replace(source.contents, parts=parts), leaves | {"log_mel": {}}
    )
    recipe = MotionRecipe(checkpoint=both, detector="none")
    with pytest.raises(CheckpointError, match="several audio encoders, whisper, log"):
        recipe.fingerprint()
    named = replace(recipe, audio_encoder="log_mel")
    assert named.parts_needed(named.open_checkpoint()) == ("motion", "log_mel")
    # Each makes a data set of its own.
    other = replace(recipe, audio_encoder="whisper")
    assert named.fingerprint() != other.fingerprint()
    missing = replace(recipe, audio_encoder="hubert")
    with pytest.raises(CheckpointError, match="no audio encoder hubert"):
        missing.open_checkpoint()
