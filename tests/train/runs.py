"""A synthetic data set, a checkpoint of frozen parts, and training programs in
processes of their own."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
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
from train.data.blocks import encode_clips
from train.data.dataset import (
    Dataset,
    WindowSplitSize,
    network_identity,
    open_dataset,
    write_description,
)
from train.data.records import ClipRecord, Label, features_needed, window_count
from train.data.shards import UNPACKED, shard_name, write_shard
from train.engine.checkpoints import Checkpoints

FEATURE_WIDTH = 8
ENCODER = WhisperConfig(80, 1500, FEATURE_WIDTH, 1, 1)
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
"""XLA flags for programs whose compiling takes most of a test's time."""
MOST_SECONDS = 900
"""Limit of a program, so that a defect fails and does not hang."""
TINY = [
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
]


def free_address() -> str:
    """Return an address for process 0 on this machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def make_checkpoint(path: Path) -> Path:
    """Save a checkpoint of frozen parts: only an audio encoder of width 8."""
    encoder = build(ENCODER, rngs=nnx.Rngs(0))
    contents = Contents(Crop(64), {"whisper": ENCODER})
    save_checkpoint(path, contents, {"whisper": leaves_of(encoder)})
    return path


def make_clip(name: str, frames: int, seed: int) -> ClipRecord:
    """Return motion that swings as the features do, so that there is something to
    learn; its first value is the frame."""
    rng = np.random.default_rng(seed)
    frequency = 2 * np.pi * rng.uniform(0.5, 2)
    feature_phases = np.linspace(0, 3, FEATURE_WIDTH)[None]
    feature_angles = frequency * np.arange(features_needed(frames))[:, None] / 50
    motion_angles = frequency * np.arange(frames)[:, None] / 30
    # Values and features have phases of their own.
    motion = 0.02 * np.sin(motion_angles + np.linspace(0, 3, MOTION_WIDTH)[None])
    motion[:, 0] = np.arange(frames)
    return ClipRecord(
        name,
        name.split("/")[0],
        np.float32(motion),
        np.float16(np.sin(feature_angles + feature_phases)),
        np.zeros(frames, np.float32),
    )


def make_dataset(
    path: Path,
    encoder: str,
    train: int = 5,
    validation: int = 2,
    labels: Sequence[Mapping[str, Label]] = (),
) -> Dataset:
    """Write a data set whose clips differ in length and motion; its first training clips
    have these labels."""
    path.mkdir(parents=True)
    splits = {
        split: [make_clip(f"{split}/{i}.mp4", 60 + 7 * i, i) for i in range(count)]
        for split, count in (("train", train), ("validation", validation))
    }
    for index, label in enumerate(labels):
        splits["train"][index] = replace(splits["train"][index], labels=label)
    sizes = {}
    for split, clips in splits.items():
        write_shard(path / shard_name(split, 0, 1), encode_clips(clips), UNPACKED)
        frames = [clip.frames for clip in clips]
        windows = sum(map(window_count, frames))
        sizes[split] = WindowSplitSize(1, len(clips), sum(frames), windows)
    # Mean and deviation are those of the train split.
    motion = np.concatenate([clip.motion for clip in splits["train"]])
    values = motion.astype(np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    write_description(
        Dataset(path, sizes, FEATURE_WIDTH, encoder, "lip", mean, deviation)
    )
    return open_dataset(path)


def weights_of(
    run: Path, kind: Literal["ema", "raw"] = "ema"
) -> tuple[dict[str, Any], MotionStatistics | None]:
    """Return the weights and statistics that a run saved last."""
    checkpoints = Checkpoints(run)
    try:
        return checkpoints.weights(checkpoints.steps[-1], kind)
    finally:
        checkpoints.close()


def losses(output: str) -> list[float]:
    """Return the losses of a program's lines."""
    lines = [line for line in output.splitlines() if " loss " in line]
    return [float(line.split("loss ")[1].split()[0]) for line in lines]


@dataclass(frozen=True)
class World:
    """Inputs of a training program, and a cache by which the later of equal ones start
    sooner."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> "World":
        """Write a checkpoint and a data set for the flow transformer."""
        checkpoint = open_checkpoint(make_checkpoint(root / "base"))
        make_dataset(root / "clips", network_identity(checkpoint, "whisper"))
        return cls(root)

    def command(self, run: str, *options: str) -> list[str]:
        """Return a command line of any stage."""
        paths = ["--work-dir", run, "--peak-tflops", "0.1"]
        return [sys.executable, "-m", "train", *paths, *options]

    def arguments(self, run: str, *options: str) -> list[str]:
        """Return a command line of the flow transformer."""
        paths = ["--dataset-path", "clips", "--checkpoint", "base"]
        return self.command(run, *paths, *TINY, *options)

    def start(self, command: list[str], *, flags: str = QUICK) -> subprocess.Popen[str]:
        """Start a program with XLA flags."""
        # The package of this checkout, and programs that are compiled once.
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

    def finish(self, command: list[str], *, flags: str = QUICK) -> tuple[int, str, str]:
        """Return status, standard output and standard error of a program."""
        process = self.start(command, flags=flags)
        output, errors = process.communicate(timeout=MOST_SECONDS)
        return process.returncode, output, errors
