"""`python -m infer [-s IMAGE] [-d AUDIO] [--checkpoint CKPT]`: a picture and a speech
recording become a talking video.

Whatever is not given is the demo's.
"""

import contextlib
import io
import os
import re
import sys
from pathlib import Path

import jax
import tyro

from infer.config import Options
from infer.run import run
from jaxportrait.console.allocator import keep_freed_memory

INTERRUPTED = 130
FRAME = str.maketrans("╭╮╰╯│─", " " * 6)
OWN_WORDS = r"^.*?Error parsing ((?=--)|\w+: )|^(Unrecognized options|Invalid choice) |For full helptext, (see|run) .*$"
"""What tyro puts around a complaint."""


def main() -> None:
    options = parse()
    try:
        configure(options)
        run(options)
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (ValueError, OSError, jax.errors.JaxRuntimeError) as error:
        if options.debug:
            raise
        print(f"error: {explain(error)}", file=sys.stderr)
        sys.exit(2)


def parse() -> Options:
    """The options of the command line; what is wrong with them is said in one line, not
    in tyro's frame."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(Options, description=__doc__, prog="python -m infer")
    except SystemExit as stop:
        if stop.code:
            complaint = " ".join(said.getvalue().translate(FRAME).split())
            print(f"error: {re.sub(OWN_WORDS, '', complaint).strip()}", file=sys.stderr)
        raise


def configure(options: Options) -> None:
    """Choose the device and the cache of compiled programs, before JAX is used."""
    if options.compilation_cache != "none":
        jax.config.update(
            "jax_compilation_cache_dir", options.compilation_cache or default_cache()
        )
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if options.platform != "auto":
        jax.config.update("jax_platforms", options.platform)
    if wanted := jax.config.values[
        "jax_platforms"
    ]:  # by an option, or by JAX_PLATFORMS
        try:
            jax.devices()
        except (
            RuntimeError,
            AssertionError,
        ) as error:  # the latter where JAX's plug-in for CUDA is not installed
            raise ValueError(
                f"platform {wanted} is not available ({error or 'its JAX plug-in is not installed'}): pass "
                "--platform cpu, or for an NVIDIA GPU install the extra cuda12 or cuda13 (README.md)"
            ) from error


def default_cache() -> str:
    """JAX's own setting, else a folder in the user's cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(
        home / "jaxportrait" / "xla"
    )


def explain(error: Exception) -> str:
    """One line for an error; what XLA says of memory is of no use to a user."""
    if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(
        error
    ):
        return "the device is out of memory: pass a smaller --batch-size, or --platform cpu"
    return (
        " ".join(str(error).split())
        if isinstance(error, jax.errors.JaxRuntimeError)
        else str(error)
    )


def program() -> None:
    """`main` in a process of its own."""
    keep_freed_memory()
    main()


if __name__ == "__main__":
    program()
