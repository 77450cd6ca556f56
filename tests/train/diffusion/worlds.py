"""A small data set with features and sound, and a step on it, for tests."""

import jax
import numpy as np
from flax import nnx

from jaxportrait.checkpoint import leaves_of
from jaxportrait.models.hubert import HubertConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_SPACES, MOTION_WIDTH, MotionStatistics
from train.data.records import (
    ClipRecord,
    feature_at,
    features_needed,
    samples_needed,
)
from train.data.windows import Place, Window, cut_window
from train.diffusion.config import (
    DENOISER,
    ENCODER,
    SPACE,
    DenoiserSize,
    DiffusionConfig,
)
from train.diffusion.data import PairCut
from train.diffusion.networks import StepConfig
from train.diffusion.stage import diffusion_program
from train.engine.config import OptimizerConfig
from train.engine.initial import by_path
from train.engine.mesh import make_mesh
from train.engine.state import TrainState

FEATURE_WIDTH = 8
SIZE = DenoiserSize(
    width=16, heads=2, blocks=2, frames=20, earlier_frames=4, diffusion_steps=10
)
CONSTANT = OptimizerConfig(
    learning_rate=1e-3, warmup_steps=0, drop_steps=(), weight_decay=0.0, clip_norm=2.0
)
CONFIG = DiffusionConfig(batch_size=8, denoiser=SIZE, optimizer=CONSTANT)
STATISTICS = MotionStatistics(
    np.zeros(MOTION_WIDTH, np.float32), np.full(MOTION_WIDTH, 0.02, np.float32)
)


def step_config(config: DiffusionConfig = CONFIG) -> StepConfig:
    sizes = {DENOISER: config.denoiser.config(FEATURE_WIDTH)}
    if config.encoder != "stored":
        sizes[ENCODER] = HubertConfig(40, 8, FEATURE_WIDTH, 2, 1, 16, 16, 4)
    expression = tuple(MOTION_SPACES[SPACE].expression.tolist())
    return StepConfig(config, sizes, expression)


def make_record(frames: int, seed: int = 0) -> ClipRecord:
    """Return a clip whose values are proportional to time, with noise as its sound."""
    rng = np.random.default_rng(seed)
    slopes = np.linspace(0.1, 1, MOTION_WIDTH)
    motion = 0.001 * np.arange(frames)[:, None] * slopes[None]
    features = rng.standard_normal((features_needed(frames), FEATURE_WIDTH))
    envelope = np.ones(frames)
    # The quietest frame's feature stands for silence.
    envelope[3] = 0
    features[feature_at(3)] = -9
    sound = rng.integers(-3_000, 3_000, samples_needed(frames))
    return ClipRecord(
        f"clip{seed}.mp4",
        "subject",
        motion.astype(np.float32),
        features.astype(np.float16),
        envelope.astype(np.float32),
        sound=sound.astype(np.int16),
    )


def cut_pair(cut: PairCut, record: ClipRecord, start: int) -> Window:
    """Return the window of a record that a pair is cut from."""
    return cut_window(record, Place(0, start, start + cut.frames), cut.needs)


def make_batch(step: StepConfig, frames: int = 60) -> dict[str, jax.Array]:
    """Return a batch of whole pairs; the truth is smooth and of unit size."""
    sizes = step.sizes[DENOISER]
    cut = PairCut(sizes, SPACE, STATISTICS, ENCODER in step.sizes)
    count = step.training.batch_size
    samples = [
        cut.pair(cut_pair(cut, make_record(frames, seed), 0)) for seed in range(count)
    ]
    batch = {
        name: np.stack([sample[name] for sample in samples]) for name in samples[0]
    }
    rng = np.random.default_rng(1)
    batch["motion"] = rng.standard_normal(batch["motion"].shape).astype(np.float32)
    batch["row"] = np.arange(count, dtype=np.int32)
    return jax.tree.map(jax.numpy.asarray, batch)


def state_of(step, frozen=None) -> TrainState:
    mesh = make_mesh(1)
    program = diffusion_program(step, frozen or {}).on(mesh)
    return program.initial_state()


def encoder_leaves(step) -> dict[str, np.ndarray]:
    network = build(step.sizes[ENCODER], rngs=nnx.Rngs(0))
    return by_path({ENCODER: leaves_of(network)})
