"""A made data set, a checkpoint of frozen parts, and training programs in processes of
their own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter
from flax import nnx

from jaxportrait.checkpoint import (
    Contents,
    Crop,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.models.parts import build
from jaxportrait.models.whisper import WhisperConfig
from jaxportrait.motion.space import MOTION_WIDTH, MotionStatistics
from train.data.records import (
    ClipRecord,
    Dataset,
    WindowSplitSize,
    encode_record,
    features_needed,
    network_identity,
    open_dataset,
    window_count,
    write_description,
)
from train.data.shards import shard_name
from train.engine.checkpoints import Checkpoints

FEATURE_WIDTH = 8
ENCODER = WhisperConfig(80, 1500, FEATURE_WIDTH, 1, 1)
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
"""XLA flags for renderers, compiling which takes most of a test's time."""
TINY = (
    "--width",
    "16",
    "--heads",
    "2",
    "--joint-blocks",
    "1",
    "--fused-blocks",
    "1",
    "--accumulation",
    "1",
)


def make_checkpoint(path: Path) -> Path:
    """A checkpoint of frozen parts: an audio encoder of width 8, and nothing more."""
    encoder = build(ENCODER, rngs=nnx.Rngs(0))
    save_checkpoint(
        path,
        Contents(Crop(64), {"whisper": ENCODER}),
        {"whisper": leaves_of(encoder)},
    )
    return path


def make_clip(name: str, frames: int, seed: int) -> ClipRecord:
    """Motion that swings as the features do, so that there is something to learn; its
    first value is the frame."""
    rng = np.random.default_rng(seed)
    rate, phases = rng.uniform(0.5, 2), np.linspace(0, 3, FEATURE_WIDTH)
    heard = 2 * np.pi * rate * np.arange(features_needed(frames))[:, None] / 50
    seen = 2 * np.pi * rate * np.arange(frames)[:, None] / 30
    motion = 0.02 * np.sin(seen + np.linspace(0, 3, MOTION_WIDTH)[None])
    motion[:, 0] = np.arange(frames)
    features = np.sin(heard + phases[None])
    return ClipRecord(
        name,
        name.split("/")[0],
        np.float32(motion),
        np.float16(features),
        np.zeros(frames, np.float32),
    )


def make_dataset(
    path: Path, encoder: str, train: int = 5, validation: int = 2
) -> Dataset:
    """A data set whose clips differ in length; motion is also unlike from clip to
    clip."""
    path.mkdir(parents=True)
    sizes, motion = {}, []
    for split, count in (("train", train), ("validation", validation)):
        clips = [
            make_clip(f"{split}/{i}.mp4", 60 + 7 * i, seed=i) for i in range(count)
        ]
        writer = ArrayRecordWriter(str(path / shard_name(split, 0, 1)), "group_size:1")
        for clip in clips:
            writer.write(encode_record(clip))
        writer.close()
        frames = [clip.frames for clip in clips]
        sizes[split] = WindowSplitSize(
            1, count, sum(frames), sum(map(window_count, frames))
        )
        motion += [clip.motion for clip in clips] if split == "train" else []
    values = np.concatenate(motion).astype(np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    write_description(
        Dataset(path, sizes, FEATURE_WIDTH, encoder, "lip", mean, deviation)
    )
    return open_dataset(path)


def weights_of(
    run: Path, kind: Literal["ema", "raw"] = "ema"
) -> tuple[dict[str, Any], MotionStatistics | None]:
    """The weights and statistics that a run saved last."""
    checkpoints = Checkpoints(run)
    try:
        return checkpoints.weights(checkpoints.steps[-1], kind)
    finally:
        checkpoints.close()


@dataclass(frozen=True)
class World:
    """Everything that a training program reads, and a cache by which the later of equal
    ones start sooner."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> "World":
        checkpoint = open_checkpoint(make_checkpoint(root / "base"))
        make_dataset(root / "clips", network_identity(checkpoint, "whisper"))
        return cls(root)

    def arguments(self, run: str, *more: str) -> list[str]:
        paths = ["--dataset-path", "clips", "--checkpoint", "base", "--work-dir", run]
        return [
            sys.executable,
            "-m",
            "train",
            *paths,
            "--peak-tflops",
            "0.1",
            *TINY,
            *more,
        ]

    def start(self, command: list[str], *, flags: str = "") -> subprocess.Popen[str]:
        environment = os.environ | {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(self.root / "cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "XLA_FLAGS": flags,
        }
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self, command: list[str], *, flags: str = "") -> tuple[int, str, str]:
        """Status, standard output and standard error."""
        process = self.start(command, flags=flags)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err
