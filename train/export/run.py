"""The weights that a run has saved, and the choice of their step."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxportrait.checkpoint import CheckpointError, Leaves
from jaxportrait.motion.space import MotionStatistics
from train.engine.adapters import merge_adapters
from train.engine.checkpoints import FOLDER, RANKS, Checkpoints
from train.engine.config import LoraConfig, read_saved


class Trained(NamedTuple):
    """Weights of a saved step.

    Attributes:
      run: identity of the run.
      step: number of the step.
      kind: `ema` or `raw`.
      weights: weights and batch statistics by dotted path.
      statistics: mean and deviation of the motion space, where there is one.
    """

    run: dict[str, Any]
    step: int
    kind: str
    weights: Leaves
    statistics: MotionStatistics | None


def read_run(work_dir: Path, step: str | None, kind: str | None) -> Trained:
    """Read the weights of a saved step.

    Args:
      work_dir: folder of the run.
      step: number or rank of the step; None is the last.
      kind: `ema` or `raw`; None is the choice of the run's configuration.

    Raises:
      CheckpointError: there is no such run or step.
    """
    if not (work_dir / FOLDER).is_dir():
        raise CheckpointError(
            f"no run at {work_dir}: pass the --work-dir that `python -m train` had"
        )
    checkpoints = Checkpoints(work_dir)
    try:
        number = choose_step(checkpoints, step, work_dir)
        run = checkpoints.run(number)
        config = run["config"]
        chosen = kind or config["export_weights"]
        weights, statistics = checkpoints.weights(number, chosen)
        return Trained(run, number, chosen, merge(weights, config), statistics)
    finally:
        checkpoints.close()


def choose_step(checkpoints: Checkpoints, step: str | None, work_dir: Path) -> int:
    """Return the step that a number or a rank names; None is the last.

    Raises:
      CheckpointError: no step was saved, or none was validated.
    """
    if not checkpoints.steps:
        raise CheckpointError(
            f"{work_dir} holds no checkpoint yet: let the run save one (--save-every)"
        )
    if step is None:
        return checkpoints.steps[-1]
    for rank in RANKS:
        if step == rank:
            return checkpoints.best(rank)
    return int(step)


def merge(weights: Leaves, config: Mapping[str, Any]) -> Leaves:
    """Return a run's weights with its adapters merged, where it has some."""
    # Stages without adapters, and runs of earlier versions, have no such option.
    lora = read_saved(config.get("lora", {}), LoraConfig)
    return merge_adapters(weights, lora) if lora.rank else weights
