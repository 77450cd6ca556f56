#!/usr/bin/env python3
"""Tell Docker whether the container's program answers: the service and the page do so
over HTTP, and any other command is healthy while it runs.

The exit status is 0 if it does, else 1.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ADDRESSES = {"serve": (8765, "/health"), "web": (7860, "/")}
"""Command -> its default port, and a page that answers."""
SECONDS = 4.0


def address_of(words: Sequence[str]) -> str | None:
    """Return the page of a program that answers, by its command line; None for others."""
    names = [word for word in words if word in ADDRESSES]
    if not names:
        return None
    port, page = ADDRESSES[names[0]]
    for place, word in enumerate(words):
        option, _, value = word.partition("=")
        if option == "--port":
            # `--port=N` or `--port N`
            port = int(value or words[place + 1])
    return f"http://127.0.0.1:{port}{page}"


def answers(address: str) -> bool:
    """Return whether there is an answer without an error."""
    try:
        with urlopen(address, timeout=SECONDS) as answer:
            return answer.status < 400
    except (URLError, OSError):
        return False


def main() -> None:
    # The first process of a container is its program.
    words = Path("/proc/1/cmdline").read_bytes().decode().split("\0")
    address = address_of(words)
    sys.exit(0 if address is None or answers(address) else 1)


if __name__ == "__main__":
    main()
