"""The judge of motion as a user runs it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from rich.console import Console

from jaxportrait.checkpoint import (
    CheckpointError,
    DriverEntry,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.drivers.diffusion_config import DiffusionDriverConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.motion_diffusion import MotionDiffusionConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MotionStatistics
from tests.train.evaluate.motion.clips import LENGTHS, make_clips
from tests.train.videos import save_tiny_checkpoint
from train.data.dataset import Dataset, network_identity, open_dataset
from train.data.records import ClipRecord
from train.data.shards import DatasetError, Split
from train.evaluate.__main__ import main
from train.evaluate.motion.report import notes
from train.evaluate.motion.run import Options, evaluate
from train.prepare.motion.write import write_dataset
from train.prepare.split import Piece

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    return save_tiny_checkpoint(folder / "tiny", ("whisper", "flow_transformer"))


@pytest.fixture(scope="module")
def two_drivers(tmp_path_factory, checkpoint) -> Path:
    """A checkpoint with a flow transformer and a denoiser of the same features."""
    source = open_checkpoint(checkpoint)
    # Windows of 0.8 s, at 25 frames a second.
    sizes = MotionDiffusionConfig(70, 32, 16, 2, 1, 20, 40, 4, 6)
    denoiser = leaves_of(build(sizes, rngs=nnx.Rngs(0)))
    statistics = MotionStatistics(
        np.zeros(70, np.float32), np.full(70, 0.02, np.float32)
    )
    config = DiffusionDriverConfig(features="whisper", space="face")
    drivers = {**source.drivers, "diffusion": DriverEntry(config, statistics)}
    parts = {**source.parts, "motion_diffusion": sizes}
    leaves = {part: source.leaves(part) for part in source.parts}
    path = tmp_path_factory.mktemp("two") / "drivers"
    save_checkpoint(
        path,
        replace(source.contents, parts=parts, drivers=drivers),
        leaves | {"motion_diffusion": denoiser},
    )
    return path


def write(
    folder: Path, clips: list[ClipRecord], splits: dict[str, Split], encoder: str
) -> Dataset:
    """Write a data set of whole clips, each in its split."""
    records = {clip.clip: clip for clip in clips}
    pieces = [Piece(name, splits[name], 0, records[name].frames) for name in splits]
    return write_dataset(
        folder,
        pieces,
        records.__getitem__,
        feature_width=32,
        audio_encoder=encoder,
        motion_space="lip",
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, checkpoint) -> Path:
    """One clip trains, and two are held out."""
    folder = tmp_path_factory.mktemp("dataset")
    encoder = network_identity(open_checkpoint(checkpoint), "whisper")
    splits: dict[str, Split] = dict.fromkeys(LENGTHS, "validation")
    write(folder, make_clips(), splits | {"b.mp4": "train"}, encoder)
    return folder


def test_clips_are_evenly_spaced_over_a_split(tmp_path):
    clip = make_clips()[1]
    names = [f"{index}.mp4" for index in range(10)]
    clips = [replace(clip, clip=name) for name in names]
    splits: dict[str, Split] = dict.fromkeys(names, "train")
    write(tmp_path, clips, splits, "")
    dataset = open_dataset(tmp_path)

    # the middles of three equal parts
    three = [record.clip for record in dataset.evenly_spaced("train", 3)]
    assert three == ["1.mp4", "5.mp4", "8.mp4"]
    assert [record.clip for record in dataset.evenly_spaced("train", 99)] == names
    assert list(dataset.evenly_spaced("validation", 3)) == []


def test_the_program_writes_table_figures_and_plots(
    dataset, checkpoint, tmp_path, monkeypatch, capsys
):
    output = tmp_path / "out"
    paths = ["--dataset-path", dataset, "--checkpoint", checkpoint, "--output", output]
    settings = ["--steps", 1, 2, "--guidance", 3, "--seeds", 2]
    arguments = [str(word) for word in (*paths, *settings)]
    monkeypatch.setattr(sys, "argv", ["evaluate", *arguments])
    main()

    report = json.loads((output / "evaluation.json").read_text())
    results = report["results"]
    assert [(row["steps"], row["guidance"]) for row in results] == [(1, 3), (2, 3)]
    # lips have neither pose nor lids, and those of random weights follow nothing
    # one clip has too few windows for the embedding
    missing = {"pose_error", "blinks_a_minute", "embedding_sync"}
    # no truth file names closures of p, b and m
    missing |= {"closures", "closures_by_chance"}
    missing |= {"true_lip_lag_milliseconds", "lip_lag_milliseconds"}
    for row in results:
        assert {name for name in row if row[name] is None} == missing
        assert np.isfinite([row[name] for name in row if name not in missing]).all()
    assert (report["clips"], report["frames"]) == (["a.mp4", "c.mp4"], 186)
    # The clips' lips were made from their loudness.
    assert report["truth"]["lip_correlation"] > 0.99
    assert set(report["baselines"]) == {"mean face", "another clip", "loudness"}
    assert report["baselines"]["loudness"]["true_lip_correlation"] > 0.99

    out = capsys.readouterr().out
    assert "2 of 2 settings sampled: 2 steps, guidance 3" in out
    assert "2 held-out clips, 186 frames" in out
    assert "p, b, m: unknown, as no truth file" in out
    assert "pose" not in out
    names = {path.name for path in output.iterdir()}
    assert names == {"evaluation.json", "measures.png", "lips.png"}


def test_the_embeddings_own_accuracy_is_stated():
    (line,) = notes({"truth": {"embedding_sync": 0.62, "closures": 0.9}})
    assert "the embedding finds the sound of 62% among 16 (chance: 6%)" in line


@pytest.mark.parametrize(("windows", "sounds"), [("fused", 0), ("original", 2)])
def test_a_denoiser_is_measured_by_its_name(
    dataset, two_drivers, tmp_path, monkeypatch, capsys, windows, sounds
):
    output = tmp_path / "out"
    paths = ["--dataset-path", dataset, "--checkpoint", two_drivers, "--output", output]
    settings = ["--steps", 2, "--guidance", 2, "--seeds", 2, "--sync-steps", 0]
    settings += ["--seam-sounds", sounds]
    words = [*paths, *settings, "--windows", windows, "--driver", "diffusion"]
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, words)])
    main()
    report = json.loads((output / "evaluation.json").read_text())
    (row,) = report["results"]
    for name in ("seam_ratio", "jerk_ratio", "pose_error", "wrong_lip_correlation"):
        assert np.isfinite(row[name]), name
    assert (report["driver"], report["windows"]) == ("diffusion", windows)
    out = capsys.readouterr().out
    assert "wrong r" in out
    assert f"{report['borders']} window borders" in out
    if not sounds:
        assert "long_seam_ratio" not in row
        return
    assert row["long_seam_low"] <= row["long_seam_ratio"] <= row["long_seam_high"]
    borders = row["long_seam_borders"]
    assert f"at {borders} borders of 2 sounds" in out
    # Two sounds of all clips have more borders than the clips by themselves.
    assert borders > 2 * report["borders"]


def test_a_driver_of_other_features_is_refused(dataset, two_drivers, tmp_path):
    source = open_checkpoint(two_drivers)
    leaves = {part: source.leaves(part) for part in source.parts}
    parts = {**source.parts, "log_mel": LogMelConfig(16)}
    entry = source.driver("diffusion")
    config = replace(entry.config, features="log_mel")
    drivers = {"diffusion": replace(entry, config=config)}
    path = tmp_path / "other"
    save_checkpoint(
        path,
        replace(source.contents, parts=parts, drivers=drivers),
        leaves | {"log_mel": {}},
    )
    message = "made by whisper, and the driver reads log_mel"
    with pytest.raises(DatasetError, match=message):
        evaluate(Options(dataset, path, tmp_path / "out"), QUIET)


def test_one_of_several_drivers_must_be_named(dataset, two_drivers, tmp_path):
    with pytest.raises(CheckpointError, match="several drivers, flow, diffusion"):
        evaluate(Options(dataset, two_drivers, tmp_path / "out"), QUIET)


def test_a_wrong_folder_is_one_line_and_status_2(
    checkpoint, tmp_path, monkeypatch, capsys
):
    arguments = ["--dataset-path", str(tmp_path), "--checkpoint", str(checkpoint)]
    monkeypatch.setattr(sys, "argv", ["evaluate", *arguments])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: no data set at {tmp_path}")


@pytest.mark.parametrize("name", ["steps", "guidance"])
def test_no_setting_at_all_is_refused(dataset, checkpoint, tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} is empty: name one value or more"):
        Options(dataset, checkpoint, tmp_path / "out", **{name: ()})


def test_features_of_another_encoder_are_refused(dataset, checkpoint, tmp_path):
    description = dataset / "dataset.json"
    good = description.read_text()
    other = json.loads(good) | {"audio_encoder": "another"}
    description.write_text(json.dumps(other))
    try:
        with pytest.raises(DatasetError, match="made by audio encoder another"):
            evaluate(Options(dataset, checkpoint, tmp_path / "out"), QUIET)
    finally:
        description.write_text(good)


def test_a_checkpoint_without_its_audio_encoder_is_refused(dataset, tmp_path):
    deaf = save_tiny_checkpoint(tmp_path / "deaf", ("flow_transformer",))
    with pytest.raises(CheckpointError, match="holds no audio encoder"):
        evaluate(Options(dataset, deaf, tmp_path / "out"), QUIET)
