"""Checkpoints on disk: nothing else knows their layout.

An inference checkpoint is an Orbax folder of three items: `params` (part -> the
network's arrays), `config` (JSON: the sizes of every part that it holds) and
`statistics` (of the motion space, where there is a flow transformer).
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx, traverse_util
from jax.typing import DTypeLike

from jaxportrait.models.blocks import fold
from jaxportrait.models.config import PortraitConfig, config_from_json
from jaxportrait.models.parts import NETWORKS, abstract, build
from jaxportrait.motion.space import MotionStatistics

FORMAT = 1
COMMIT_NOTE = "commit_success.txt"
"""Orbax reads it in cloud storage alone, and it names the folder of whoever wrote the
checkpoint."""
UNTRAINED_DEVIATION = 0.02
"""Of motion, before statistics are measured."""

StorageType = Literal["float32", "float16"]
Leaves = Mapping[str, Any]
"""A network's arrays by dotted path, such as `stem.conv.kernel`."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written, or lacks what is asked of it."""


@dataclass(frozen=True)
class Checkpoint:
    """An inference checkpoint that has been opened: its config and statistics are read,
    its networks are not.

    Attributes:
      config: of every part; None for a part that it does not hold.
      statistics: of the motion space, on the host; None without a flow transformer.
    """

    path: Path
    config: PortraitConfig
    statistics: MotionStatistics | None

    @property
    def parts(self) -> list[str]:
        return [part for part in NETWORKS if getattr(self.config, part) is not None]

    def sizes(self, part: str) -> Any:
        """The config of `part`; raise a CheckpointError if it is missing."""
        self.require([part])
        return getattr(self.config, part)

    def require(self, parts: Sequence[str]) -> None:
        """Raise a CheckpointError if any of `parts` is missing."""
        missing = [part for part in parts if part not in self.parts]
        if missing:
            raise CheckpointError(
                f"checkpoint {self.path} holds no {', no '.join(missing)} (it has: "
                f"{', '.join(self.parts) or 'nothing'}): convert the missing weights with `python -m convert_weights`"
            )

    def leaves(self, part: str) -> dict[str, np.ndarray]:
        """The stored arrays of `part`, on the host, in float32."""
        return self._read(part, abstract(part, self.sizes(part)))

    def _read(self, part: str, network: nnx.Module) -> dict[str, np.ndarray]:
        wanted = {part: _nested(dict.fromkeys(leaf_shapes(network), 0))}
        as_numpy = jax.tree.map(
            lambda _: ocp.RestoreArgs(
                restore_type=np.ndarray, dtype=np.dtype(np.float32)
            ),
            wanted,
        )
        restore = ocp.args.PyTreeRestore(
            item=wanted, restore_args=as_numpy, partial_restore=True
        )
        try:
            with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
                return _dotted(reader.restore(self.path / "params", args=restore)[part])
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"{self.path} is damaged, its {part} cannot be read ({error}): convert it again"
            ) from error

    def network(self, part: str, *, dtype: DTypeLike = jnp.float32) -> Any:
        """The network of `part` in its inference form, on the default device.

        Args:
          dtype: in which it computes and in which its weights are kept.
        """
        network = abstract(part, self.sizes(part), dtype=dtype)
        fill(network, self._read(part, network))
        network.eval()
        fold(network)
        nnx.update(
            network,
            jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), nnx.state(network)),
        )
        return network


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Open the inference checkpoint at `path`; raise a CheckpointError if there is none
    that can be read."""
    path = Path(path).absolute()
    if not path.is_dir():
        raise CheckpointError(
            f"no checkpoint at {path}: make one with `python -m convert_weights --output {path}`"
        )
    try:
        with ocp.Checkpointer(_handler()) as reader:
            config = reader.restore(
                path, args=ocp.args.Composite(config=ocp.args.JsonRestore())
            )["config"]
            statistics = None
            if (path / "statistics").is_dir():
                item = ocp.args.Composite(statistics=ocp.args.PyTreeRestore())
                statistics = reader.restore(path, args=item)["statistics"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} is not a jaxportrait checkpoint, or it is damaged: {error}"
        ) from error
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"checkpoint {path} is of format {config.get('format')}, this version reads {FORMAT}: convert it again"
        )
    if statistics is not None:
        statistics = MotionStatistics(
            np.asarray(statistics["mean"]), np.asarray(statistics["std"])
        )
    try:
        portrait = config_from_json(config["portrait"])
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"the config of {path} cannot be read ({error}): a newer version wrote it, or it is damaged"
        ) from error
    return Checkpoint(path, portrait, statistics)


def save_checkpoint(
    path: str | Path,
    config: PortraitConfig,
    params: Mapping[str, Leaves],
    statistics: MotionStatistics | None = None,
    *,
    dtype: StorageType = "float32",
    overwrite: bool = False,
) -> None:
    """Write an inference checkpoint whole or not at all.

    Args:
      params: of each part that `config` names, in the form before folding.
      dtype: in which weights are stored; in float16 they take half the space and keep
        11 significant bits.
      overwrite: replace what stands at `path`; otherwise that is an error.

    Raises:
      CheckpointError: `path` is taken, a weight is too large for `dtype`, or the parts
        are not those of `config`.
    """
    path = Path(path).absolute()
    check_destination(path, overwrite=overwrite)
    check_parts(config, params, statistics)
    stored = {
        part: _nested(_as_stored(part, leaves, dtype))
        for part, leaves in params.items()
    }
    items: dict[str, Any] = {
        "params": ocp.args.PyTreeSave(stored),
        "config": ocp.args.JsonSave({"format": FORMAT, "portrait": asdict(config)}),
    }
    if statistics is not None:
        items["statistics"] = ocp.args.PyTreeSave(
            {"mean": np.asarray(statistics.mean), "std": np.asarray(statistics.std)}
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    try:
        with ocp.Checkpointer(_handler()) as writer:
            writer.save(partial, args=ocp.args.Composite(**items))
        for note in partial.rglob(COMMIT_NOTE):
            note.unlink()
        _put_in_place(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _as_stored(part: str, leaves: Leaves, dtype: StorageType) -> dict[str, np.ndarray]:
    """The arrays in `dtype`; raise a CheckpointError if it cannot hold one of their
    values."""
    stored = {}
    for name, leaf in leaves.items():
        try:
            with np.errstate(over="raise"):
                stored[name] = np.asarray(leaf, dtype)
        except FloatingPointError as error:
            limit = np.finfo(dtype).max
            raise CheckpointError(
                f"{part} has values beyond {limit:g} in {name}: store it in float32"
            ) from error
    return stored


def _put_in_place(new: Path, path: Path) -> None:
    """Rename `new` to `path`; what stands there is kept until then, and comes back if
    that fails."""
    if not path.exists():
        new.rename(path)
        return
    old = new.with_name(f"{new.name}.replaced")
    path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def save_untrained(
    path: str | Path, config: PortraitConfig, seed: int = 0, *, overwrite: bool = False
) -> None:
    """Write a checkpoint of freshly initialised networks: what training starts from,
    and what toy runs use."""
    rngs, params = (
        nnx.Rngs(jax.random.key(seed, impl="rbg")),
        {},
    )  # compiles in a third of threefry's time
    for part in NETWORKS:
        if (part_config := getattr(config, part)) is not None:
            params[part] = leaves_of(build(part, part_config, rngs=rngs))
    statistics = None
    if config.flow_transformer is not None:
        width = config.flow_transformer.motion_width
        statistics = MotionStatistics(
            np.zeros(width, np.float32), np.full(width, UNTRAINED_DEVIATION, np.float32)
        )
    save_checkpoint(path, config, params, statistics, overwrite=overwrite)


def check_destination(path: Path, *, overwrite: bool) -> None:
    """Raise a CheckpointError unless a checkpoint may be written at `path`: absent,
    empty or, on request, replaced."""
    path = path.absolute()
    folder = next(parent for parent in (*path.parents, path) if parent.exists())
    if not folder.is_dir():
        raise CheckpointError(
            f"{path} cannot be written, {folder} is a file: choose another output"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CheckpointError(
            f"{path} cannot be written, you may not write into {folder}: choose another output"
        )
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not ((path / "config" / "metadata").is_file() and (path / "params").is_dir()):
        raise CheckpointError(
            f"{path} exists and is not a checkpoint: choose another output"
        )
    if not overwrite:
        raise CheckpointError(
            f"{path} already holds a checkpoint: choose another output, or pass --overwrite"
        )


def check_parts(
    config: PortraitConfig,
    params: Mapping[str, Leaves],
    statistics: MotionStatistics | None,
) -> None:
    """Raise a CheckpointError unless there are weights of each part that `config`
    names, of no other, and statistics with a flow transformer."""
    named = {part for part in NETWORKS if getattr(config, part) is not None}
    if named != params.keys():
        raise CheckpointError(
            f"the config names {', '.join(sorted(named)) or 'no part'}, and there are weights of "
            f"{', '.join(sorted(params)) or 'none'}: give the same"
        )
    if config.flow_transformer is not None and statistics is None:
        raise CheckpointError(
            "a flow transformer needs the mean and deviation of its motion: give statistics"
        )


def leaf_shapes(network: nnx.Module) -> dict[str, jax.ShapeDtypeStruct]:
    """Dotted path -> shape and dtype of every array of a network."""
    return {
        ".".join(map(str, path)): leaf.get_value() for path, leaf in _variables(network)
    }


def leaves_of(network: nnx.Module) -> dict[str, np.ndarray]:
    """Dotted path -> array of a network, on the host."""
    return {name: np.asarray(leaf) for name, leaf in leaf_shapes(network).items()}


def fill(network: nnx.Module, leaves: Leaves) -> None:
    """Put host arrays into a network, every one of its leaves, as float32."""
    for path, leaf in _variables(network):
        leaf.set_value(np.asarray(leaves[".".join(map(str, path))], np.float32))


def _variables(network: nnx.Module) -> list[tuple[tuple, nnx.Variable]]:
    state = nnx.to_flat_state(nnx.state(network, nnx.Not(nnx.RngState)))
    return list(state)


def _handler() -> ocp.CompositeCheckpointHandler:
    return ocp.CompositeCheckpointHandler(
        params=ocp.PyTreeCheckpointHandler(save_concurrent_gb=1),
        config=ocp.JsonCheckpointHandler(),
        statistics=ocp.PyTreeCheckpointHandler(),
    )


def _nested(leaves: Leaves) -> dict[str, Any]:
    return dict(traverse_util.unflatten_dict(dict(leaves), sep="."))


def _dotted(tree: Mapping[str, Any]) -> dict[str, Any]:
    return dict(traverse_util.flatten_dict(dict(tree), sep="."))
