"""Reading the items of a checkpoint's folder, whatever is damaged."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxportrait.checkpoint.arrays import ArrayShapes, checksum, flatten, nest
from jaxportrait.checkpoint.errors import CheckpointError
from jaxportrait.checkpoint.files import CONFIG, PARAMS, STATISTICS, handler

READ_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
    TypeError,
    AttributeError,
)
"""Errors of Orbax about files that are missing or damaged; RuntimeError also of JSON
that is nested too deeply."""


class Items(NamedTuple):
    """The items of a checkpoint's folder, without the arrays of networks.

    Attributes:
      config: JSON that describes the checkpoint.
      statistics: driver -> name -> array; those of format 1 have no driver.
      shapes: part -> dotted path -> shape and dtype of an array.
    """

    config: Any
    statistics: Mapping[str, Any]
    shapes: Mapping[str, ArrayShapes]


def read_items(path: Path) -> Items:
    """Return what is stored at `path` apart from the arrays of networks.

    Raises:
      CheckpointError: an item is missing or damaged.
    """
    for item in (CONFIG, PARAMS):
        if not (path / item).is_dir():
            raise CheckpointError(
                f"{path} is not a jaxportrait checkpoint, or it is damaged: it has no {item}"
            )
    with ocp.Checkpointer(handler()) as reader:
        with damage_named(path, CONFIG):
            config = _restore(reader, path, CONFIG, ocp.args.JsonRestore())
        statistics = {}
        # Only drivers that normalise their motion have statistics.
        if (path / STATISTICS).is_dir():
            with damage_named(path, STATISTICS):
                statistics = _restore(
                    reader, path, STATISTICS, ocp.args.PyTreeRestore()
                )
    with damage_named(path, PARAMS):
        # By the handler itself: a reader of the folder would warn of `files`.
        folder: Any = path / PARAMS
        arrays = ocp.PyTreeCheckpointHandler().metadata(folder)
        shapes = {part: flatten(tree) for part, tree in arrays.tree.items()}
    return Items(config, statistics, shapes)


def read_arrays(path: Path, part: str, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the arrays of `part` at dotted paths, in float32.

    Raises:
      CheckpointError: they are missing or damaged.
    """
    # Orbax restores only the leaves that are named here.
    item = {part: nest(dict.fromkeys(names, 0))}
    # Weights that are stored in float16 are widened.
    as_float32 = ocp.RestoreArgs(restore_type=np.ndarray, dtype=np.dtype(np.float32))
    restore = ocp.args.PyTreeRestore(
        item=item,
        restore_args=jax.tree.map(lambda _: as_float32, item),
        partial_restore=True,
    )
    with (
        damage_named(path, f"part {part}"),
        ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader,
    ):
        return flatten(reader.restore(path / PARAMS, args=restore)[part])


def verify_arrays(
    arrays: Mapping[str, np.ndarray], digests: Mapping[str, str], owner: str
) -> None:
    """Raise a CheckpointError unless arrays are finite, and as they were stored.

    Args:
      digests: dotted path -> checksum; those of old checkpoints are missing.
      owner: name of the part in messages.
    """

    def find_damage(name: str) -> str | None:
        if not np.isfinite(arrays[name]).all():
            return "has values that are not finite"
        if name in digests and checksum(arrays[name]) != digests[name]:
            return "is not what was stored"
        return None

    missing = digests.keys() - arrays.keys()
    if missing:
        raise CheckpointError(f"{owner} lacks {missing.pop()}")
    # NumPy and hashlib work in parallel: both release the interpreter's lock.
    with ThreadPoolExecutor(thread_name_prefix="verify") as pool:
        for name, damage in zip(arrays, pool.map(find_damage, arrays), strict=True):
            if damage is not None:
                raise CheckpointError(f"{name} of {owner} {damage}")


def verify_statistics(
    arrays: Any, digests: Mapping[str, str], owner: str
) -> dict[str, np.ndarray]:
    """Return the arrays of a driver's statistics.

    Args:
      arrays: mean and std.
      digests, owner: see `verify_arrays`.

    Raises:
      CheckpointError: they are not two arrays, or not what was stored.
    """
    if not isinstance(arrays, Mapping) or set(arrays) != {"mean", "std"}:
        raise CheckpointError(f"{owner} are not mean and std")
    statistics = {name: np.asarray(values) for name, values in arrays.items()}
    verify_arrays(statistics, digests, owner)
    return statistics


@contextmanager
def damage_named(path: Path, name: str) -> Iterator[None]:
    """Raise a CheckpointError in place of Orbax's errors, which print nothing."""
    previous = sys.unraisablehook
    sys.unraisablehook = drop_late_reads(previous)
    try:
        yield
    except READ_ERRORS as error:
        # Orbax's messages have several lines.
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path} is not a jaxportrait checkpoint, or it is damaged: its {name} cannot be read ({reason}): "
            "copy or convert it again"
        ) from error
    # After an error it stays, for the reads that are still under way.
    sys.unraisablehook = previous


def drop_late_reads(report: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a hook that reports what a thread cannot raise, but no late reads.

    Orbax reads all arrays at once and leaves at the first error. The other reads end
    without the event loop that waits for them, each with a traceback on the terminal.
    """

    def report_others(problem: Any) -> None:
        if str(problem.exc_value) != "Event loop is closed":
            report(problem)

    return report_others


def _restore(reader: ocp.Checkpointer, path: Path, name: str, arguments: Any) -> Any:
    """Return one item of the folder."""
    items = ocp.args.Composite(**{name: arguments})
    return reader.restore(path, args=items)[name]
