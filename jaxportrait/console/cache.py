"""The cache of compiled programs, as programs start it."""

import sys

from jaxportrait.cache import open_cache


def start_cache(folder: str | None = None, *, is_needed: bool = False) -> None:
    """Use a cache of compiled programs.

    Where the default folder cannot be used, a line says so, and there is none.

    Args:
      folder: the folder; "none" for no cache.
      is_needed: whether the program is of no use without one.

    Raises:
      OSError: the folder that was asked for, or is needed, cannot be used.
    """
    if folder == "none":
        return
    try:
        open_cache(folder)
    except OSError as error:
        if folder is not None or is_needed:
            raise
        print(f"note: {error}", file=sys.stderr)
