"""The sockets of servers."""

import socket


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address, and does not listen yet.

    Raises:
      OSError: the address is in use, or not of this machine.
    """
    # Addresses of IPv6 have colons, and others have none.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(
            f"{host}:{port} cannot be listened at ({error.strerror}): choose another --port or --host"
        ) from error
    return listener
