"""Ten updates on a mesh, in a process of its own: losses, gradients and weights are
written to a file.

python -m tests.train.ten_steps STAGE DATASET OUTPUT FSDP [HOST:PORT PROCESSES PROCESS]
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.experimental.multihost_utils import process_allgather

from tests.train.diffusion.worlds import SIZE, step_config
from train.data.batches import Rows
from train.data.dataset import Dataset, open_dataset
from train.diffusion.config import SPACE, DiffusionConfig
from train.diffusion.data import PairCut
from train.diffusion.data import batches as pair_batches
from train.diffusion.stage import diffusion_program
from train.diffusion.step import DENOISER
from train.engine.config import LoraConfig, OptimizerConfig, StageConfig
from train.engine.mesh import check_batch, connect, make_mesh
from train.engine.program import Program
from train.engine.state import Params
from train.flow.config import FlowConfig, TransformerSize
from train.flow.data import batches
from train.flow.stage import flow_program

STEPS = 10
Processes = tuple[int, int]
"""This process, and how many there are."""
CONSTANT = OptimizerConfig(learning_rate=1e-4, warmup_steps=0, drop_steps=())


class Training(NamedTuple):
    """Options, functions and batches of a stage."""

    config: StageConfig
    program: Program
    batches: Iterator[Mapping[str, np.ndarray]]


def flow(dataset: Dataset, processes: Processes) -> Training:
    config = FlowConfig(batch_size=16, accumulation=2, optimizer=CONSTANT)
    transformer = TransformerSize(16, 2, 1, 1).config("lip", dataset.feature_width)
    iterator = batches(dataset, "lip", 0, Rows(config.batch_size, *processes))
    return Training(config, flow_program(config, transformer), iterator)


def diffusion(dataset: Dataset, processes: Processes) -> Training:
    config = DiffusionConfig(
        batch_size=16, accumulation=2, optimizer=CONSTANT, denoiser=SIZE
    )
    step = step_config(config)
    statistics = dataset.statistics(SPACE)
    crop = PairCut(step.sizes[DENOISER], SPACE, statistics, sound=False)
    iterator = pair_batches(dataset, crop, 0, Rows(config.batch_size, *processes))
    return Training(config, diffusion_program(step, {}), iterator)


def adapters(dataset: Dataset, processes: Processes) -> Training:
    config = FlowConfig(
        batch_size=16, accumulation=2, optimizer=CONSTANT, lora=LoraConfig(4, 16.0)
    )
    transformer = TransformerSize(16, 2, 1, 1).config("lip", dataset.feature_width)
    iterator = batches(dataset, "lip", 0, Rows(config.batch_size, *processes))
    return Training(config, flow_program(config, transformer), iterator)


STAGES = {"flow": flow, "diffusion": diffusion, "adapters": adapters}


def main(stage: str, dataset_path: str, output: str, fsdp: str, *others: str) -> None:
    if others:
        address, processes, process = others
        connect(address, int(processes), int(process))
    mesh = make_mesh(int(fsdp))
    place = (jax.process_index(), jax.process_count())
    config, stage_program, iterator = STAGES[stage](open_dataset(dataset_path), place)
    check_batch(config.batch_size, config.microbatches, mesh)
    program = stage_program.on(mesh)
    frozen = program.frozen
    # Fresh weights are drawn on the mesh, and the same on every mesh.
    fresh = gather(program.initial_state().params)
    whole = program.state.fixed or program.state.params
    state = program.initial_state(weights(whole))
    before = gather(state.params)

    update = program.lower_update(config.batch_size).compile()
    key = jax.random.key(0)
    losses, gradients = [], []
    mean = np.zeros_like(before)
    for _ in range(STEPS):
        state, metrics = update(*frozen, key, state, program.place(next(iterator)))
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
