"""A checkpoint of two parts, written once."""

import shutil
from pathlib import Path

import pytest
from flax import nnx

from jaxportrait.checkpoint import leaves_of, save_checkpoint
from jaxportrait.models.parts import build
from tests.checkpoint.contents import CONTENTS

Params = dict[str, dict]


@pytest.fixture(scope="session")
def params() -> Params:
    """The arrays of both parts."""
    return {
        part: leaves_of(build(config, rngs=nnx.Rngs(0)))
        for part, config in CONTENTS.parts.items()
    }


@pytest.fixture(scope="session")
def written(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint, which no test changes."""
    # Session-wide, since saving takes a second; `copy` is for tests that damage it.
    path = tmp_path_factory.mktemp("written") / "checkpoint"
    save_checkpoint(path, CONTENTS, params)
    return path


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    """A checkpoint to damage."""
    return shutil.copytree(written, tmp_path / "copy")
