"""The browser of tests."""

import os
import shutil

import pytest

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
"""Commands of browsers that Playwright can drive."""


def find_browser() -> str:
    """Return the path of a browser; skip the test where there is none.

    Where CI is set, the test fails instead: there, a browser is installed.
    """
    path = next(filter(None, map(shutil.which, COMMANDS)), None)
    if path is not None:
        return path
    line = f"no browser is installed: none of {', '.join(COMMANDS)}"
    if os.environ.get("CI"):
        pytest.fail(line)
    pytest.skip(line)
