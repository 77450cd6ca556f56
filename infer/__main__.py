"""`python -m infer [-s IMAGE] [-d AUDIO] [--checkpoint CKPT]`: a picture and a speech
recording become a talking video."""

import jax

from infer.config import DeviceOptions, Options
from infer.run import run
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.console.cache import start_cache
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options

SUMMARY = """Make a portrait speak: a picture and a speech recording become a video.

The picture, the recording and the networks are the demo's by default."""
EXAMPLE = "-s portrait.jpg -d speech.wav --checkpoint checkpoints/liveportrait"


def main() -> None:
    options = parse_options(Options, "infer", summary=SUMMARY, example=EXAMPLE)
    with exit_on_error(debug=options.debug):
        configure(options.device)
        run(options)


def configure(device: DeviceOptions) -> None:
    """Choose the device and the cache of compiled programs, before JAX is used."""
    start_cache(device.compilation_cache, is_needed=device.warmup)
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


def program() -> None:
    """Run `main` in a process of its own."""
    # The allocator reads its settings before `main` allocates anything.
    keep_freed_memory()
    main()


if __name__ == "__main__":
    program()
