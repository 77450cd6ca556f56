"""`python -m infer.serve [-s IMAGE] [--checkpoint CKPT]`: a portrait that speaks, live
over WebSocket, and clips over REST."""

import signal

from infer.__main__ import configure
from infer.serve.options import Options
from infer.serve.run import listen, make_app, make_server, open_avatar, print_place
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.interrupts import end_by
from jaxportrait.console.options import parse_options

SUMMARY = """Serve a portrait that speaks while it hears: a page, WebSocket and REST.

Only this machine reaches it unless --host says otherwise. The portrait and the networks
are the demo's by default."""
EXAMPLE = "-s portrait.jpg --checkpoint checkpoints/liveportrait --port 8765"


def main() -> None:
    options = parse_options(Options, "infer.serve", summary=SUMMARY, example=EXAMPLE)
    with exit_on_error(debug=options.debug):
        configure(options.device)
        # Before minutes of loading: a port that is taken is named at once.
        listener = listen(options.server)
        avatar = open_avatar(options)
    server = make_server(make_app(avatar, options))
    # Clients may come as soon as the line is printed.
    listener.listen()
    print_place(options, listener)
    try:
        # It ends its sessions and deletes its files on a signal, which it then repeats.
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        end_by(signal.SIGINT)


def program() -> None:
    """Run `main` in a process of its own."""
    # The allocator reads its settings before `main` allocates anything.
    keep_freed_memory()
    main()


if __name__ == "__main__":
    program()
