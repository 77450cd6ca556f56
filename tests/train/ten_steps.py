"""Ten updates on a mesh, in a process of its own: losses, gradients and weights go into
a file.

python -m tests.train.ten_steps DATASET OUTPUT FSDP [HOST:PORT PROCESSES PROCESS]
"""

import sys
from pathlib import Path

import jax
import numpy as np
import optax
from jax.experimental.multihost_utils import process_allgather

from train.data.batches import Rows
from train.data.records import open_dataset
from train.engine.config import OptimizerConfig
from train.engine.mesh import check_batch, connect, make_mesh
from train.engine.state import Params
from train.flow.config import TransformerSize
from train.flow.data import batches
from train.flow.stage import flow_program
from train.flow.step import StepConfig

STEPS, BATCH, ACCUMULATION = 10, 16, 2
CONSTANT = OptimizerConfig(learning_rate=1e-4, warmup_steps=0, drop_steps=())


def main(dataset_path: str, output: str, fsdp: str, *others: str) -> None:
    if others:
        connect(others[0], int(others[1]), int(others[2]))
    dataset, mesh = open_dataset(dataset_path), make_mesh(int(fsdp))
    check_batch(BATCH, ACCUMULATION, mesh)
    transformer = TransformerSize(16, 2, 1, 1).config("lip", dataset.feature_width)
    config = StepConfig(transformer, CONSTANT, accumulation=ACCUMULATION)
    rows = Rows(BATCH, jax.process_index(), jax.process_count())
    iterator, key = batches(dataset, "lip", 0, rows), jax.random.key(0)
    program = flow_program(config, 0)
    fresh = flat(process_allgather(program.initial_state(mesh).params, tiled=True))
    state = program.initial_state(mesh, weights(program.abstract_state(mesh).params))
    before = process_allgather(state.params, tiled=True)

    update, losses, vectors, mean = (
        program.lower_update(BATCH, mesh).compile(),
        [],
        [],
        0.0,
    )
    for _ in range(STEPS):
        state, metrics = update(key, state, program.place(next(iterator), mesh))
        losses.append(float(metrics["loss"]))
        previous, mean = (
            mean,
            flat(process_allgather(optax.tree.get(state.optimizer, "mu"), tiled=True)),
        )
        vectors.append(
            (mean - CONSTANT.beta1 * previous) / (1 - CONSTANT.beta1)
        )  # the clipped gradient
    after = process_allgather(state.params, tiled=True)
    spread = sum(
        not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state)
    )
    if jax.process_index() == 0:
        first_and_last = {"fresh": fresh, "before": flat(before), "after": flat(after)}
        np.savez(
            output, losses=losses, gradients=vectors, spread=spread, **first_and_last
        )


def weights(shapes: Params) -> dict[str, np.ndarray]:
    """Weights of which none is zero, so that every layer has a gradient from the
    start."""
    rng = np.random.default_rng(0)
    return {
        name: np.float32(0.1 * rng.standard_normal(leaf.shape))
        for name, leaf in shapes.items()
    }


def flat(tree: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(tree[name]) for name in sorted(tree)])


if __name__ == "__main__":
    main(*map(str, map(Path, sys.argv[1:3])), *sys.argv[3:])
