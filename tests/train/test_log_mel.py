"""The log-mel as the only audio encoder, from videos to motion: process, train, export,
infer, evaluate."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.features.registry import load_features
from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import open_detector
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import RENDERER
from jaxportrait.models.whisper import WhisperConfig
from tests.train.videos import draw_leaves, save_tiny_checkpoint, write_mead_clip
from train.data.dataset import Dataset, find_encoder
from train.data.shards import DatasetError
from train.evaluate.motion.run import check_fit
from train.export.parts import with_log_mel
from train.export.write import Options, export
from train.prepare.motion.extract import MotionRecipe
from train.prepare.motion.run import Options as ProcessOptions
from train.prepare.motion.run import process

ROOT = Path(__file__).parents[2]
QUIET = Console(quiet=True)
FEATURES = LogMelConfig(8)
TINY_DRIVERS = Contents.tiny().drivers
TINY = "--width 16 --heads 2 --joint-blocks 1 --fused-blocks 1 --batch-size 2 --accumulation 1"
SHORT = "--steps 3 --validate-every 3 --save-every 3 --validation-batches 1 --learning-rate 0.01 --warmup-steps 0"


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """Every part of inference except the flow transformer, with log-mels of 8 bins in
    place of Whisper."""
    tiny = Contents.tiny()
    parts = {part: tiny.parts[part] for part in RENDERER}
    return save(
        tmp_path_factory.mktemp("checkpoints") / "base",
        Contents(tiny.crop, {**parts, "log_mel": FEATURES}),
    )


def save(path: Path, contents: Contents) -> Path:
    params = {part: draw_leaves(config) for part, config in contents.parts.items()}
    save_checkpoint(path, contents, params)
    return path


@pytest.fixture(scope="module")
def mead(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("mead")
    for subject in ("M003", "W009"):
        write_mead_clip(root, subject, "neutral", 1, "001", seconds=1.2)
    return root


@pytest.fixture(scope="module")
def dataset(base, mead, tmp_path_factory) -> Dataset:
    output = tmp_path_factory.mktemp("processed") / "out"
    recipe = MotionRecipe(checkpoint=base, detector="haar")
    options = ProcessOptions(dataset_path=mead, output_path=output, recipe=recipe)
    return process(options, QUIET)[0]


@pytest.fixture
def trained(base, dataset, tmp_path) -> Path:
    """A run of three updates, exported in half precision."""
    # In a process of its own, as a user runs it.
    run, output = tmp_path / "run", tmp_path / "trained"
    paths = ("--dataset-path", dataset.path, "--checkpoint", base, "--work-dir", run)
    command = [
        sys.executable,
        "-m",
        "train",
        *map(str, paths),
        *f"{TINY} {SHORT} --peak-tflops 0.1".split(),
    ]
    subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        check=True,
        capture_output=True,
    )
    export(Options(run, output, dtype="float16"))
    return output


def test_records_hold_the_features_of_inference(base, mead, dataset):
    log_mel = load_features(open_checkpoint(base))
    assert dataset.feature_width == 16
    for split in ("train", "validation"):
        (record,) = dataset.clips(split)
        audio = Audio.open(
            mead / record.clip.replace("video/front", "audio").replace(".mp4", ".m4a")
        )
        features = log_mel.encode(audio.stream, len(record.features))
        np.testing.assert_array_equal(record.features, features.astype(np.float16))


def test_a_trained_checkpoint_makes_motion_of_sound(trained, dataset, voice):
    checkpoint = open_checkpoint(trained)
    assert checkpoint.sizes("log_mel") == FEATURES
    assert checkpoint.sizes("flow_transformer").audio_width == FEATURES.width
    assert checkpoint.driver().config.features == "log_mel"
    check_fit(dataset, checkpoint, driver=None)
    # Other sound makes other motion.
    animator = Animator(checkpoint, detector=open_detector("none"))
    driver = animator.driver.with_sampling(Sampling(steps=2))
    right, wrong = (
        driver.make(Audio.from_samples(sound, 16_000), seed=0, frames=15)
        for sound in (voice, 0 * voice)
    )
    assert len(right) == 15
    assert np.abs(right.expression - wrong.expression).max() > 0


def test_features_of_another_encoder_are_refused(base, dataset, tmp_path):
    parts = {**open_checkpoint(base).parts, "log_mel": LogMelConfig(40)}
    for other in (
        save_tiny_checkpoint(tmp_path / "whisper", ("whisper",)),
        save(tmp_path / "finer", Contents(parts=parts)),
    ):
        with pytest.raises(DatasetError, match="made by audio encoder"):
            find_encoder(dataset, open_checkpoint(other))
    # Features of the right width are not enough.
    transformer = FlowTransformerConfig(18, FEATURES.width, 16, 2, 1, 1)
    whisper = replace(WhisperConfig.tiny(), width=FEATURES.width)
    parts = {"whisper": whisper, "flow_transformer": transformer}
    reader = save(tmp_path / "reader", Contents(parts=parts, drivers=TINY_DRIVERS))
    with pytest.raises(DatasetError, match="made by audio encoder"):
        check_fit(dataset, open_checkpoint(reader), driver=None)


def test_the_log_mel_takes_the_place_of_whisper():
    tiny = Contents.tiny()
    motion, whisper = tiny.parts["motion"], tiny.parts["whisper"]
    both = Contents(parts={"motion": motion, "whisper": whisper})
    contents, leaves = with_log_mel(both, {"motion": {}, "whisper": {}}, 40)
    assert contents.parts == {"motion": motion, "log_mel": LogMelConfig(40)}
    assert list(leaves) == ["motion", "log_mel"]
    with pytest.raises(
        CheckpointError, match="would change what the flow transformer hears"
    ):
        with_log_mel(tiny, {}, 40)
    with pytest.raises(ValueError, match="mel_bins is 0: it must be from 1"):
        with_log_mel(both, {}, 0)


def test_a_checkpoint_without_an_audio_encoder_is_named(dataset, tmp_path):
    parts = {"motion": Contents.tiny().parts["motion"]}
    mute = save(tmp_path / "mute", Contents(parts=parts))
    with pytest.raises(CheckpointError, match="holds no audio encoder"):
        find_encoder(dataset, open_checkpoint(mute))
