"""The items of a checkpoint's folder, and its files that are no arrays."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import orbax.checkpoint as ocp

from jaxportrait.checkpoint.description import FileRecord
from jaxportrait.checkpoint.errors import CheckpointError

PARAMS = "params"
CONFIG = "config"
STATISTICS = "statistics"
FILES = "files"


def handler() -> ocp.CompositeCheckpointHandler:
    """Return Orbax's handler of the three items."""
    return ocp.CompositeCheckpointHandler(
        # At most 1 GB of arrays is copied at a time, which limits host memory.
        params=ocp.PyTreeCheckpointHandler(save_concurrent_gb=1),
        config=ocp.JsonCheckpointHandler(),
        statistics=ocp.PyTreeCheckpointHandler(),
    )


def record_file(path: Path) -> FileRecord:
    """Return the size and checksum of a file."""
    with path.open("rb") as file:
        # Read in pieces: a file may be larger than memory.
        digest = hashlib.file_digest(file, "sha256")
    return FileRecord(path.stat().st_size, digest.hexdigest())


def record_files(files: Mapping[str, Path]) -> dict[str, FileRecord]:
    """Return the records of files that are to be stored, by name.

    Raises:
      CheckpointError: a name that is more than a file's name, or no such file.
    """
    for name, path in files.items():
        check_name(name)
        if not path.is_file():
            raise CheckpointError(f"no file {path}, which {name} is to be copied from")
    return {name: record_file(path) for name, path in files.items()}


def check_name(name: str) -> None:
    """Raise a CheckpointError unless `name` is a file's name without folders."""
    # `Path` takes ".." for a name.
    if name in ("", "..") or name != Path(name).name:
        raise CheckpointError(
            f"{name!r} is no file name: leave out its folders to store the file"
        )


def verify_files(folder: Path, records: Mapping[str, FileRecord]) -> None:
    """Raise a CheckpointError unless every stored file is as it was recorded."""
    for name, record in records.items():
        # A name with folders could reach outside the checkpoint.
        check_name(name)
        path = folder / FILES / name
        if not path.is_file():
            raise CheckpointError(f"its file {name} is missing: copy it again")
        # The size is cheap to compare and tells most damage.
        if path.stat().st_size != record.bytes or record_file(path) != record:
            raise CheckpointError(
                f"its file {name} differs from what was stored: copy the checkpoint again"
            )
