"""A data set, a checkpoint of a flow transformer trained on other motion, and stages
that start from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from rich.console import Console

from jaxportrait.checkpoint import (
    DRIVER,
    DriverEntry,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MotionStatistics
from tests.train.runs import FEATURE_WIDTH, make_checkpoint, make_dataset
from train.data.batches import Rows
from train.data.dataset import network_identity, open_dataset
from train.data.records import Label
from train.engine.config import LoopConfig, OptimizerConfig
from train.engine.initial import StatisticsSource
from train.engine.mesh import make_mesh
from train.engine.run import RunOptions, train
from train.engine.stage import Scores, no_scores
from train.flow.config import FlowConfig, TransformerSize
from train.flow.stage import PART, FlowStage, open_flow

SIZE = TransformerSize(16, 2, 1, 1)
LOOP = LoopConfig(steps=2, log_every=1, validate_every=1, save_every=1, plot_every=1000)
CONFIG = FlowConfig(
    batch_size=4,
    accumulation=1,
    validation_batches=1,
    transformer=SIZE,
    optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=0, drop_steps=()),
    loop=LOOP,
)


class UnscoredStage(FlowStage):
    """A stage whose checkpoints rank by their loss: sampling motion takes longer than
    these runs."""

    def scores(self, mesh: Mesh) -> Scores:
        return no_scores


@dataclass(frozen=True)
class FlowWorld:
    """Two data sets with the same validation clips and other training clips, and a
    checkpoint.

    Attributes:
      root: folder of all of them.
      statistics: statistics of the first data set, which are the checkpoint's.
    """

    root: Path
    statistics: MotionStatistics

    @classmethod
    def make(
        cls, root: Path, labels: Sequence[Mapping[str, Label]] = ()
    ) -> "FlowWorld":
        """Write the data sets `first` and `second`, whose training clips have these
        labels, and the checkpoint `start`."""
        base = open_checkpoint(make_checkpoint(root / "base"))
        identity = network_identity(base, "whisper")
        first = make_dataset(root / "first", identity, train=5)
        make_dataset(root / "second", identity, train=2, labels=labels)
        # A transformer none of whose weights is zero.
        sizes = SIZE.config("lip", FEATURE_WIDTH)
        leaves = leaves_of(build(sizes, rngs=nnx.Rngs(0)))
        rng = np.random.default_rng(0)
        for name, leaf in leaves.items():
            noise = 0.1 * rng.standard_normal(leaf.shape)
            leaves[name] = leaf + noise.astype(np.float32)
        statistics = first.statistics("lip")
        driver = FlowDriverConfig(features="whisper", space="lip")
        contents = replace(
            base.contents,
            parts={**base.parts, PART: sizes},
            drivers={DRIVER: DriverEntry(driver, statistics)},
        )
        weights = {"whisper": base.leaves("whisper"), PART: leaves}
        save_checkpoint(root / "start", contents, weights)
        return cls(root, statistics)

    def open(
        self,
        dataset: str = "second",
        source: StatisticsSource | None = None,
        config: FlowConfig = CONFIG,
        console: Console | None = None,
    ) -> FlowStage:
        """Open the stage of a data set, starting from the checkpoint."""
        start = self.root / "start"
        console = console or Console(file=StringIO())
        path = self.root / dataset
        stage = open_flow(
            config, partial(open_dataset, path), start, start, source, console
        )
        return UnscoredStage(**vars(stage))

    def open_fresh(
        self, config: FlowConfig = CONFIG, source: StatisticsSource | None = None
    ) -> FlowStage:
        """Open the stage of a data set, starting from fresh weights."""
        start = self.root / "start"
        console = Console(file=StringIO())
        second = self.root / "second"
        return open_flow(
            config, partial(open_dataset, second), start, None, source, console
        )

    def train(self, run: str, stage: FlowStage) -> Path:
        """Train a stage in a folder, and return it."""
        options = RunOptions(self.root / run, peak_tflops=1.0)
        # Optax promotes integers to floats.
        with jax.numpy_dtype_promotion("standard"):
            train(stage, options, Console(file=StringIO()))
        return self.root / run


def first_loss(stage: FlowStage) -> float:
    """Return the validation loss before the first update."""
    program = stage.program.on(make_mesh(1))
    state = program.initial_state(stage.initial)
    (batch,) = stage.held_out(Rows(CONFIG.batch_size))
    error = jax.jit(stage.program.error)
    average = program.averaged(state)
    return float(error(average, jax.tree.map(jnp.asarray, dict(batch))))
