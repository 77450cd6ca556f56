"""Conditions that every test runs under: a CPU, strict ranks and dtypes, float32 at full
precision."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import pytest

from jaxportrait.cache import VARIABLE, open_cache
from jaxportrait.checkpoint import Contents, save_untrained
from jaxportrait.models.parts import RENDERER
from tests.inputs import babble, draw_portrait

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_default_matmul_precision", "highest")


# Background jobs of a shell ignore Ctrl-C, and those of nohup SIGHUP; programs that
# tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_configure(config: pytest.Config) -> None:
    """Let tests share what they compile, with those of other workers and with the
    programs that they start."""
    # Workers inherit the variable.
    if VARIABLE in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="jaxportrait-programs-")
    config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))
    open_cache(folder)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with training, whose files take longest, so that workers end together."""
    items.sort(key=lambda item: "train" not in item.path.parts)


@pytest.fixture(autouse=True)
def same_cache() -> Iterator[None]:
    """Return to the cache of all tests; programs in this process may choose another."""
    folder = os.environ[VARIABLE]
    yield
    if os.environ.get(VARIABLE) != folder:
        open_cache(folder)


@pytest.fixture
def only_cluster() -> Iterator[None]:
    """Wait until no other worker has a Ray cluster, whose agents have fixed ports."""
    import fcntl  # not on Windows

    with Path(os.environ[VARIABLE], "ray.lock").open("w") as file:
        # Closing the file frees the lock.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of figures from the published PyTorch code."""
    return Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the tiny networks, untrained."""
    path = tmp_path_factory.mktemp("checkpoints") / "tiny"
    save_untrained(path, Contents.tiny())
    return path


@pytest.fixture(scope="session")
def renderer_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of F, M, W and G only."""
    path = tmp_path_factory.mktemp("renderer") / "four"
    tiny = Contents.tiny()
    parts = {part: tiny.parts[part] for part in RENDERER}
    save_untrained(path, Contents(tiny.crop, parts))
    return path


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """A drawn face, (256, 256, 3) RGB."""
    return draw_portrait(256)


@pytest.fixture(scope="session")
def voice() -> np.ndarray:
    """Two seconds of babble at 16 kHz."""
    return babble(2.0)
