"""A run's checkpoints: the state, where the data stands, and what the run is, saved
together or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from jaxportrait.checkpoint import CheckpointError
from jaxportrait.motion.space import MotionStatistics
from train.engine.state import Params, TrainState

FOLDER = "checkpoints"
LOSS = "validation_loss"
WEIGHTS = {"ema": ("average",), "raw": ("params", "batch_statistics")}
"""How weights are called at the command line -> the items that hold them."""


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds besides the weights.

    Attributes:
      run: what the run is, as JSON keeps it.
      data: state of the data iterator.
      statistics: of the motion space; None where nothing is normalised.
    """

    run: Mapping[str, Any]
    data: Mapping[str, Any]
    statistics: MotionStatistics | None = None


class Checkpoints:
    """The checkpoints of one run folder, written in the background.

    Args:
      keep: the last so many, and the best; None to read alone.
    """

    def __init__(self, work_dir: Path, keep: int | None = None):
        best = BestN(
            get_metric_fn=_loss,
            reverse=True,
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=AnyPreservationPolicy([LatestN(n=keep), best]),
            best_fn=_loss,  # without it, Orbax does not write the loss beside the checkpoint
            best_mode="min",
            cleanup_tmp_directories=keep is not None,
            create=keep is not None,
        )
        self._path = work_dir.absolute() / FOLDER
        self._manager = ocp.CheckpointManager(
            self._path, options=options, item_handlers=_handlers()
        )
        self._left_behind: list[int] = []

    @property
    def steps(self) -> list[int]:
        return sorted({*self._manager.all_steps()} - {*self._left_behind})

    def save(
        self, state: TrainState, saved: Saved, validation_loss: float | None = None
    ) -> None:
        """Start to write a state; the call returns when its arrays have been copied and
        may be donated."""
        while self._left_behind:
            self._manager.delete(self._left_behind.pop())
        items = {
            "params": ocp.args.StandardSave(state.params),
            "average": ocp.args.StandardSave(state.average),
            "optimizer": ocp.args.StandardSave(
                {"step": state.step, "state": state.optimizer}
            ),
            "run": ocp.args.JsonSave(dict(saved.run)),
            "data": ocp.args.JsonSave(dict(saved.data)),
        }
        if state.batch_statistics:
            items["batch_statistics"] = ocp.args.StandardSave(state.batch_statistics)
        if saved.statistics is not None:
            arrays = {
                "mean": np.asarray(saved.statistics.mean),
                "std": np.asarray(saved.statistics.std),
            }
            items["statistics"] = ocp.args.StandardSave(arrays)
        metrics = None if validation_loss is None else {LOSS: validation_loss}
        self._manager.save(
            int(state.step), args=ocp.args.Composite(**items), metrics=metrics
        )

    def restore(
        self, step: int, like: TrainState
    ) -> tuple[TrainState, Mapping[str, Any]]:
        """The state of a step and that of its data iterator.

        Args:
          like: shapes, dtypes and shardings of the state.
        """
        arguments = {
            "params": ocp.args.StandardRestore(like.params),
            "average": ocp.args.StandardRestore(like.average),
            "optimizer": ocp.args.StandardRestore(
                {"step": like.step, "state": like.optimizer}
            ),
            "data": ocp.args.JsonRestore(),
        }
        if like.batch_statistics:
            arguments["batch_statistics"] = ocp.args.StandardRestore(
                like.batch_statistics
            )
        items = self._restore(step, ocp.args.Composite(**arguments))
        rest, measured = (
            items["optimizer"],
            items["batch_statistics"] if like.batch_statistics else {},
        )
        return TrainState(
            rest["step"], items["params"], items["average"], rest["state"], measured
        ), items["data"]

    def run(self, step: int) -> dict[str, Any]:
        """What the run was when it saved this step."""
        return self._restore(step, ocp.args.Composite(run=ocp.args.JsonRestore()))[
            "run"
        ]

    def weights(self, step: int, kind: str) -> tuple[Params, MotionStatistics | None]:
        """The weights of a step, `ema` or `raw`, batch statistics among them, and the
        motion's, on the host."""
        self._require(step)
        stored = self._manager.item_metadata(step)
        items = [
            item
            for item in (*WEIGHTS[kind], "statistics")
            if stored.get(item) is not None
        ]
        on_host = {
            item: jax.tree.map(
                lambda leaf: np.empty(leaf.shape, leaf.dtype), dict(stored[item])
            )
            for item in items
        }
        arguments = {
            item: ocp.args.StandardRestore(arrays) for item, arrays in on_host.items()
        }
        restored = self._restore(step, ocp.args.Composite(**arguments))
        statistics = restored["statistics"] if "statistics" in items else None
        weights = {
            name: leaf
            for item in items
            if item in WEIGHTS[kind]
            for name, leaf in restored[item].items()
        }
        return weights, statistics and MotionStatistics(**statistics)

    def go_on_from(self, step: int) -> None:
        """Later checkpoints than `step` no longer count; the next save deletes them."""
        self._left_behind += [later for later in self.steps if later > step]

    def wait(self) -> None:
        """Return when everything is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        self._manager.close()

    def _restore(self, step: int, arguments: ocp.args.Composite) -> Any:
        self._require(step)
        try:
            return self._manager.restore(step, args=arguments)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"checkpoint {self._path / str(step)} is damaged or of another run: {error}"
            ) from error

    def _require(self, step: int) -> None:
        if step not in self.steps:
            known = ", ".join(map(str, self.steps)) or "none"
            raise CheckpointError(
                f"{self._path} holds no checkpoint of step {step} (it has: {known})"
            )


def _loss(metrics: Mapping[str, float]) -> float:
    return metrics[LOSS]


def _handlers() -> dict[str, ocp.CheckpointHandler]:
    names = ("params", "average", "optimizer", "batch_statistics", "statistics")
    arrays: dict[str, ocp.CheckpointHandler] = {
        item: ocp.StandardCheckpointHandler() for item in names
    }
    return arrays | {item: ocp.JsonCheckpointHandler() for item in ("run", "data")}
