"""A run's checkpoints: the state, the position in the data, and the run's identity,
saved together or not at all."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from jaxportrait.checkpoint import CheckpointError
from jaxportrait.motion.space import MotionStatistics
from jaxportrait.room import check_room
from train.engine.config import LOSS
from train.engine.state import Params, TrainState

FOLDER = "checkpoints"
SCORE = "lip_correlation"
"""Score of the held-out clips, by which checkpoints of the flow transformer rank."""
WEIGHTS = {
    "ema": ("average", "fixed"),
    "raw": ("params", "batch_statistics", "fixed"),
}
"""Name of weights at the command line -> the items that hold them."""


@dataclass(frozen=True)
class Saved:
    """Everything that a checkpoint holds besides the state.

    Attributes:
      run: identity of the run, as JSON keeps it.
      data: state of the data iterator.
      statistics: mean and deviation of the motion space; None where nothing is
        normalised.
    """

    run: Mapping[str, Any]
    data: Mapping[str, Any]
    statistics: MotionStatistics | None = None


def read_last_run(work_dir: Path, step: int | None = None) -> dict[str, Any] | None:
    """Return the identity of a run when it saved last, or saved `step`; None where
    nothing is saved.

    Orbax isn't used, which would open the devices: processes of one run are connected
    first. A damaged file is left to `Checkpoints` to tell of.
    """
    folders = (work_dir / FOLDER).glob("*")
    steps = [int(folder.name) for folder in folders if folder.name.isdecimal()]
    if not steps:
        return None
    step = max(steps) if step is None else step
    # The name is that of Orbax's handler of JSON.
    path = work_dir / FOLDER / str(step) / "run" / "metadata"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Checkpoints:
    """The checkpoints of one run folder, written in the background.

    Args:
      work_dir: the run folder.
      keep: number of the last checkpoints that stay, beside the best and that of the
        least loss; None to only read.
    """

    def __init__(self, work_dir: Path, keep: int | None = None):
        # The best checkpoint by either rank is never deleted.
        best = [
            BestN(get_metric_fn=rank, n=1, keep_checkpoints_without_metrics=False)
            for rank in RANKS.values()
        ]
        options = ocp.CheckpointManagerOptions(
            preservation_policy=AnyPreservationPolicy([LatestN(n=keep), *best]),
            # Without a `best_fn`, Orbax writes no metrics beside the checkpoint.
            best_fn=_loss_rank,
            best_mode="max",
            cleanup_tmp_directories=keep is not None,
            create=keep is not None,
        )
        self._path = work_dir.absolute() / FOLDER
        self._manager = ocp.CheckpointManager(
            self._path, options=options, item_handlers=_handlers()
        )
        self._abandoned: list[int] = []

    @property
    def steps(self) -> list[int]:
        """Saved steps that count, in order."""
        return sorted({*self._manager.all_steps()} - {*self._abandoned})

    def best(self, rank: "Rank") -> int:
        """Return the best of the saved steps.

        Raises:
          CheckpointError: no step was validated.
        """
        metrics = {step: self._manager.metrics(step) for step in self.steps}
        validated = {step: values for step, values in metrics.items() if values}
        if not validated:
            raise CheckpointError(
                f"no checkpoint of {self._path} was validated: name one of {list(metrics)}"
            )
        return max(validated, key=lambda step: RANKS[rank](validated[step]))

    def save(
        self,
        state: TrainState,
        saved: Saved,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Start to write a state; the call returns when its arrays have been copied and
        may be donated.

        Args:
          metrics: the validation loss and scores; None where nothing was validated.
        """
        # Steps that a resumed run left behind are deleted only now, so that a run which
        # fails before its first save leaves them.
        while self._abandoned:
            self._manager.delete(self._abandoned.pop())
        optimizer = {"step": state.step, "state": state.optimizer}
        items = {
            "params": ocp.args.StandardSave(state.params),
            "average": ocp.args.StandardSave(state.average),
            "optimizer": ocp.args.StandardSave(optimizer),
            "run": ocp.args.JsonSave(dict(saved.run)),
            "data": ocp.args.JsonSave(dict(saved.data)),
        }
        if state.fixed:
            items["fixed"] = ocp.args.StandardSave(state.fixed)
        if state.batch_statistics:
            items["batch_statistics"] = ocp.args.StandardSave(state.batch_statistics)
        if saved.statistics is not None:
            arrays = {
                "mean": np.asarray(saved.statistics.mean),
                "std": np.asarray(saved.statistics.std),
            }
            items["statistics"] = ocp.args.StandardSave(arrays)
        # Half a state would be noticed late, and by many lines of TensorStore.
        self.check_room(state)
        self._manager.save(
            int(state.step),
            args=ocp.args.Composite(**items),
            metrics=None if metrics is None else dict(metrics),
        )

    def check_room(self, state: TrainState, count: int = 1) -> None:
        """Raise an OSError unless so many states fit on the disk."""
        kinds = (state.params, state.average, state.optimizer, state.fixed)
        arrays = jax.tree.leaves(kinds)
        if jax.process_index() == 0:
            size = sum(array.nbytes for array in arrays)
            check_room(self._path, count * size)

    def restore(
        self, step: int, like: TrainState
    ) -> tuple[TrainState, Mapping[str, Any]]:
        """Return the state of a step and that of its data iterator.

        Args:
          step: number of a saved step.
          like: shapes, dtypes and shardings of the state.

        Raises:
          CheckpointError: there is no such step, or it is damaged.
        """
        # The same items as `save` writes.
        optimizer = {"step": like.step, "state": like.optimizer}
        arguments = {
            "params": ocp.args.StandardRestore(like.params),
            "average": ocp.args.StandardRestore(like.average),
            "optimizer": ocp.args.StandardRestore(optimizer),
            "data": ocp.args.JsonRestore(),
        }
        measured, fixed = like.batch_statistics, like.fixed
        if measured:
            arguments["batch_statistics"] = ocp.args.StandardRestore(measured)
        if fixed and self._manager.item_metadata(step).get("fixed") is None:
            raise CheckpointError(
                f"{self._path / str(step)} was saved by an earlier version, which kept fixed weights "
                "otherwise: export it, and start a new run with --init"
            )
        if fixed:
            arguments["fixed"] = ocp.args.StandardRestore(fixed)
        items = self._restore(step, ocp.args.Composite(**arguments))
        state = TrainState(
            items["optimizer"]["step"],
            items["params"],
            items["average"],
            items["optimizer"]["state"],
            items["batch_statistics"] if measured else {},
            items["fixed"] if fixed else {},
        )
        return state, items["data"]

    def run(self, step: int) -> dict[str, Any]:
        """Return the run's identity when it saved this step."""
        arguments = ocp.args.Composite(run=ocp.args.JsonRestore())
        return self._restore(step, arguments)["run"]

    def weights(self, step: int, kind: str) -> tuple[Params, MotionStatistics | None]:
        """Return the weights of a step on the host, and the motion's statistics.

        Args:
          step: number of a saved step.
          kind: `ema` or `raw`; batch statistics and fixed weights are among both.
        """
        weights: Params = {}
        for leaves in self._arrays(step, WEIGHTS[kind]).values():
            weights |= leaves
        return weights, self.statistics(step)

    def statistics(self, step: int) -> MotionStatistics | None:
        """Return the mean and deviation by which a run normalises its motion."""
        arrays = self._arrays(step, ("statistics",))
        return MotionStatistics(**arrays["statistics"]) if arrays else None

    def resume_from(self, step: int) -> None:
        """Ignore the checkpoints after `step`, and delete them at the next save."""
        self._abandoned += [later for later in self.steps if later > step]

    def wait(self) -> None:
        """Return when everything is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Finish writing, and free Orbax's threads."""
        self._manager.close()

    def _arrays(self, step: int, items: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return those of the items that a step holds, as arrays on the host."""
        self._require(step)
        # Runs without batch norms, fixed weights or statistics lack these items.
        metadata = self._manager.item_metadata(step)
        arguments = {}
        for item in items:
            if metadata.get(item) is not None:
                # Arrays of numpy make Orbax restore to the host.
                arrays = jax.tree.map(_empty, dict(metadata[item]))
                arguments[item] = ocp.args.StandardRestore(arrays)
        if not arguments:
            return {}
        return dict(self._restore(step, ocp.args.Composite(**arguments)))

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
            present = ", ".join(map(str, self.steps)) or "none"
            raise CheckpointError(
                f"{self._path} holds no checkpoint of step {step} (it has: {present})"
            )


def _loss_rank(metrics: Mapping[str, float]) -> Any:
    return -metrics[LOSS]


def _score_rank(metrics: Mapping[str, float]) -> Any:
    # Steps without a score, and those of equal scores, rank by their loss.
    return metrics.get(SCORE, 0.0), -metrics[LOSS]


Rank = Literal["best", "best-loss"]
RANKS: dict[Rank, Callable[[Mapping[str, float]], Any]] = {
    "best": _score_rank,
    "best-loss": _loss_rank,
}
"""Functions of a checkpoint's metrics; the best checkpoint has the largest."""


def _empty(leaf: Any) -> np.ndarray:
    return np.empty(leaf.shape, leaf.dtype)


def _handlers() -> dict[str, ocp.CheckpointHandler]:
    arrays = ("params", "average", "optimizer", "fixed", "batch_statistics")
    handlers: dict[str, ocp.CheckpointHandler] = {
        item: ocp.StandardCheckpointHandler() for item in (*arrays, "statistics")
    }
    for item in ("run", "data"):
        handlers[item] = ocp.JsonCheckpointHandler()
    return handlers
