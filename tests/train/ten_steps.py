"""Ten updates on a mesh, in a process of its own: losses, gradients and weights are
written to a file.

python -m tests.train.ten_steps DATASET OUTPUT FSDP [HOST:PORT PROCESSES PROCESS]
"""

import sys
from typing import Any

import jax
import numpy as np
import optax
from jax.experimental.multihost_utils import process_allgather

from train.data.batches import Rows
from train.data.dataset import open_dataset
from train.engine.config import OptimizerConfig
from train.engine.mesh import check_batch, connect, make_mesh
from train.engine.state import Params
from train.flow.config import FlowConfig, TransformerSize
from train.flow.data import batches
from train.flow.stage import flow_program

STEPS = 10
CONSTANT = OptimizerConfig(learning_rate=1e-4, warmup_steps=0, drop_steps=())
CONFIG = FlowConfig(batch_size=16, accumulation=2, optimizer=CONSTANT)


def main(dataset_path: str, output: str, fsdp: str, *others: str) -> None:
    if others:
        address, processes, process = others
        connect(address, int(processes), int(process))
    dataset = open_dataset(dataset_path)
    mesh = make_mesh(int(fsdp))
    check_batch(CONFIG.batch_size, CONFIG.accumulation, mesh)
    transformer = TransformerSize(16, 2, 1, 1).config("lip", dataset.feature_width)
    rows = Rows(CONFIG.batch_size, jax.process_index(), jax.process_count())
    iterator = batches(dataset, "lip", 0, rows)
    program = flow_program(CONFIG, transformer).on(mesh)
    # Fresh weights are drawn on the mesh, and the same on every mesh.
    fresh = gather(program.initial_state().params)
    state = program.initial_state(weights(program.state.params))
    before = gather(state.params)

    update = program.lower_update(CONFIG.batch_size).compile()
    key = jax.random.key(0)
    losses, gradients = [], []
    mean = np.zeros_like(before)
    for _ in range(STEPS):
        state, metrics = update(key, state, program.place(next(iterator)))
        losses.append(float(metrics["loss"]))
        # The clipped gradient, from the change of Adam's mean.
        previous = mean
        mean = gather(optax.tree.get(state.optimizer, "mu"))
        gradients.append((mean - CONSTANT.beta1 * previous) / (1 - CONSTANT.beta1))
    # Every process takes part in gathering; the first one writes.
    after = gather(state.params)
    sharded = [not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state)]
    if jax.process_index() == 0:
        np.savez(
            output,
            losses=losses,
            gradients=gradients,
            sharded=sum(sharded),
            fresh=fresh,
            before=before,
            after=after,
        )


def weights(shapes: Params) -> dict[str, np.ndarray]:
    """Return weights of which none is zero, so that every layer has a gradient from the
    start."""
    rng = np.random.default_rng(0)
    return {
        name: np.float32(0.1 * rng.standard_normal(leaf.shape))
        for name, leaf in shapes.items()
    }


def gather(tree: Any) -> np.ndarray:
    """Return the values of all leaves, from every process."""
    leaves = process_allgather(tree, tiled=True)
    return np.concatenate([np.ravel(leaves[name]) for name in sorted(leaves)])


if __name__ == "__main__":
    main(*sys.argv[1:])
