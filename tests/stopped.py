"""`python -m tests.stopped MOMENT MODULE ...`: a program that stops at a moment, so that
a test can end it exactly there.

A line on stderr tells that the moment has come; the program then waits for a signal.
"""

import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jaxportrait.partial import MARK

STOPPED = "stopped at the moment"
LONG = 120.0  # seconds


def is_reading(event: str, path: str, mode: object) -> bool:
    """Weights or a video are opened to be read."""
    return event == "open" and path.endswith((".pth", ".mp4", "manifest.ocdbt"))


def is_locking(event: str, path: str, mode: object) -> bool:
    """A partial folder is locked and has no mark yet."""
    return event == "open" and path.endswith(MARK) and mode == "w"


def is_begun(event: str, path: str, mode: object) -> bool:
    """Something is written into a partial folder."""
    is_write = event == "os.mkdir" or mode not in (None, "r", "rb")
    return is_write and ".partial/" in path and not path.endswith(MARK)


def is_written(event: str, path: str, mode: object) -> bool:
    """All is written, and is now brought to the disk."""
    is_descriptor = event == "open" and mode is None
    return is_descriptor and ".partial/" in path and not path.endswith(MARK)


MOMENTS: dict[str, Callable[[str, str, object], bool]] = {
    "reading": is_reading,
    "locking": is_locking,
    "begun": is_begun,
    "written": is_written,
    "never": lambda event, path, mode: False,
}


def main() -> None:
    moment, module, *arguments = sys.argv[1:]
    has_come = MOMENTS[moment]
    is_stopped = False

    def stop(event: str, values: tuple) -> None:
        nonlocal is_stopped
        if is_stopped or event not in ("open", "os.mkdir"):
            return
        path = values[0]
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        if has_come(event, os.fsdecode(path), values[1]):
            is_stopped = True
            os.write(2, f"{STOPPED}\n".encode())
            time.sleep(LONG)

    # Python reports every opened file and every new folder.
    sys.addaudithook(stop)
    sys.argv = [module, *arguments]
    sys.path.insert(0, str(Path(__file__).parents[1]))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
