"""The cache of compiled programs on disk, which spares later processes the compiling."""

import os
import warnings
from pathlib import Path

import jax

from jaxportrait.allocator import keep_freed_memory

VARIABLE = "JAX_COMPILATION_CACHE_DIR"


def enable_cache(folder: str | Path | None = None) -> Path | None:
    """Prepare this process for the library, as its programs do it for themselves.

    Compiled programs are kept in a folder and shared by all processes, and on a CPU the
    memory of a frame serves the next one (see `jaxportrait.allocator`). Call it once,
    before JAX is used.

    Args:
      folder: by default the one that JAX has been told, or `jaxportrait/xla` in the
        user's cache. Whoever can write to it decides what runs.

    Returns:
      The folder; None where the default one cannot be used, with a warning.

    Raises:
      OSError: `folder` cannot be used.
    """
    keep_freed_memory()
    try:
        return open_cache(folder)
    except OSError as error:
        if folder is not None:
            raise
        warnings.warn(str(error), stacklevel=2)
        return None


def open_cache(folder: str | Path | None = None) -> Path:
    """Let JAX keep compiled programs in a folder; see `enable_cache`.

    Processes that this one starts use it as well.

    Raises:
      OSError: the folder cannot be used.
    """
    path = default_folder() if folder is None else Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(explain(path, error.strerror or str(error))) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(explain(path, "it is protected"))
    os.environ[VARIABLE] = str(path)
    jax.config.update("jax_compilation_cache_dir", str(path))
    # Small programs add up: all of them are kept.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return path


def default_folder() -> Path:
    """Return JAX's own setting, or else a folder in the user's cache.

    Raises:
      OSError: this user has no home.
    """
    chosen = jax.config.values["jax_compilation_cache_dir"] or os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        home = Path(base) if base else Path.home() / ".cache"
    except RuntimeError as error:
        raise OSError(
            f"compiled programs are not kept: this user has no home folder; set {VARIABLE} to a folder"
        ) from error
    return home / "jaxportrait" / "xla"


def explain(path: Path, reason: str) -> str:
    return (
        f"compiled programs are not kept: {path} cannot be used ({reason}); "
        f"set {VARIABLE} to another folder"
    )
