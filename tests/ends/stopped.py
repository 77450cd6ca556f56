"""`python -m tests.ends.stopped MOMENT MODULE ...`: a program that stops at a moment, so that
a test can end it exactly there.

A line on stderr tells that the moment has come; the program then waits for a signal.
Where the variable AT_MOMENT holds a shell command, it runs that and continues.
"""

import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jaxportrait.partial import MARK

STOPPED = "stopped at the moment"
LONG = 120.0  # seconds


def is_reading(event: str, path: str, mode: object) -> bool:
    """Weights or a video are opened to be read."""
    is_input = path.endswith((".pth", ".mp4", "_METADATA"))
    return event == "open" and is_input and ".partial/" not in path


def is_locking(event: str, path: str, mode: object) -> bool:
    """A partial folder is locked and has no mark yet."""
    return event == "open" and path.endswith(MARK) and mode == "w"


def is_begun(event: str, path: str, mode: object) -> bool:
    """Something is written into a partial folder."""
    is_write = event == "os.mkdir" or mode not in (None, "r", "rb")
    return is_write and ".partial/" in path and not path.endswith(MARK)


def is_written(event: str, path: str, mode: object) -> bool:
    """All is written, and is now brought to the disk."""
    # os.open reports no mode: a file is opened for fsync.
    is_descriptor = event == "open" and mode is None
    return is_descriptor and ".partial/" in path and not path.endswith(MARK)


def is_saving(event: str, path: str, mode: object) -> bool:
    """A training run begins to save its state."""
    return event == "os.mkdir" and "/checkpoints/" in path


MOMENTS: dict[str, Callable[[str, str, object], bool]] = {
    "reading": is_reading,
    "locking": is_locking,
    "begun": is_begun,
    "written": is_written,
    "saving": is_saving,
    "never": lambda event, path, mode: False,
}


def wait_or_act(action: str) -> None:
    """Run a shell command, or wait for a signal if there is none."""
    if action:
        subprocess.run(action, shell=True, check=True)
    else:
        time.sleep(LONG)


def stop_at(moment: str) -> None:
    """Let this process stop when a moment comes."""
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
            wait_or_act(os.environ.get("AT_MOMENT", ""))

    # Python reports every opened file and every new folder.
    sys.addaudithook(stop)


def main() -> None:
    moment, module, *arguments = sys.argv[1:]
    stop_at(moment)
    sys.argv = [module, *arguments]
    sys.path.insert(0, str(Path(__file__).parents[2]))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
