"""`python -m infer [-s IMAGE] [-d AUDIO] [--checkpoint CKPT]`: a picture and a speech
recording become a talking video."""

import os
from pathlib import Path

import jax

from infer.config import DeviceOptions, Options
from infer.run import run
from jaxportrait.console.allocator import keep_freed_memory
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options

SUMMARY = """Make a portrait speak: a picture and a speech recording become a video.

The picture, the recording and the networks are the demo's by default."""
EXAMPLE = "-s portrait.jpg -d speech.wav --checkpoint checkpoints/liveportrait"


def main() -> None:
    options = parse_options(Options, "infer", summary=SUMMARY, example=EXAMPLE)
    message = "interrupted: nothing was written"
    with exit_on_error(interrupted=message, debug=options.debug):
        configure(options.device)
        run(options)


def configure(device: DeviceOptions) -> None:
    """Choose the device and the cache of compiled programs, before JAX is used."""
    if device.compilation_cache != "none":
        cache = device.compilation_cache or default_cache()
        jax.config.update("jax_compilation_cache_dir", cache)
        # Small programs add up: all of them are kept.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if device.platform != "auto":
        jax.config.update("jax_platforms", device.platform)
    # set by the option, or by JAX_PLATFORMS
    platform = jax.config.values["jax_platforms"]
    if platform:
        check_platform(platform)


def check_platform(platform: str) -> None:
    """Raise a ValueError if JAX has no device of this platform."""
    try:
        jax.devices()
    # an AssertionError comes where JAX's plug-in for CUDA is not installed
    except (RuntimeError, AssertionError) as error:
        reason = str(error) or "its JAX plug-in is not installed"
        raise ValueError(
            f"platform {platform} is not available ({reason}): pass --platform cpu, "
            "or for an NVIDIA GPU install the extra cuda12 or cuda13 (README.md)"
        ) from error


def default_cache() -> str:
    """Return JAX's own setting, or else a folder in the user's cache."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if folder:
        return folder
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return str(home / "jaxportrait" / "xla")


def program() -> None:
    """Run `main` in a process of its own."""
    # The allocator reads its settings before `main` allocates anything.
    keep_freed_memory()
    main()


if __name__ == "__main__":
    program()
