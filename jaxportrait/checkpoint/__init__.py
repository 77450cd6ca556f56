"""Checkpoints on disk: nothing else knows their layout.

A checkpoint is an Orbax folder of three items: `params` (part -> arrays of its
network), `config` (the JSON that `checkpoint.description` documents) and `statistics`
(driver -> mean and deviation of its motion, where there is a driver). Files that are no
arrays lie in `files`.
"""

# Callers import from here, so that the files of this folder can change.
from jaxportrait.checkpoint.arrays import Leaves, fill, leaf_shapes, leaves_of
from jaxportrait.checkpoint.contents import (
    DRIVER,
    Contents,
    Crop,
    DriverEntry,
    untrained_statistics,
)
from jaxportrait.checkpoint.errors import CheckpointError
from jaxportrait.checkpoint.fit import check_statistics
from jaxportrait.checkpoint.kinds import AUTO_DRIVER
from jaxportrait.checkpoint.read import Checkpoint, open_checkpoint
from jaxportrait.checkpoint.write import (
    StorageType,
    check_brackets,
    check_destination,
    save_checkpoint,
    save_untrained,
)

__all__ = [
    "AUTO_DRIVER",
    "DRIVER",
    "Checkpoint",
    "CheckpointError",
    "Contents",
    "Crop",
    "DriverEntry",
    "Leaves",
    "StorageType",
    "check_brackets",
    "check_destination",
    "check_statistics",
    "fill",
    "leaf_shapes",
    "leaves_of",
    "open_checkpoint",
    "save_checkpoint",
    "save_untrained",
    "untrained_statistics",
]
