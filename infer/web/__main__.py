"""`python -m infer.web [--checkpoint CKPT ...]`: a page in the browser that makes
portraits speak."""

import sys

from infer.__main__ import configure
from infer.web.config import Options
from infer.web.serve import Server, open_server
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options

SUMMARY = """Show a web page that makes portraits speak, moves them, and edits faces.

It is for this machine only unless --host says otherwise. Files that people add are
deleted after their use."""
EXAMPLE = "--checkpoint checkpoints/liveportrait"


def main() -> None:
    options = parse_options(Options, "infer.web", summary=SUMMARY, example=EXAMPLE)
    with exit_on_error(debug=options.debug):
        server = prepare(options)
    # The server ends by signals in its own way: it deletes all files.
    server.run()


def prepare(options: Options) -> Server:
    """Open everything that can fail, before the page is shown."""
    if options.device.warmup:
        raise ValueError("--warmup is for clips of one recording: leave it out")
    configure(options.device)
    server = open_server(options)
    print(f"the page is at {server.address}, until Ctrl-C", file=sys.stderr)
    return server


def program() -> None:
    """Run `main` in a process of its own."""
    # The allocator reads its settings before `main` allocates anything.
    keep_freed_memory()
    main()


if __name__ == "__main__":
    program()
