"""The site of a request: this server's own page, or another that is open in a browser."""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from jaxportrait.ranges import OptionError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names by which only this machine reaches a server."""
NAME = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", re.ASCII)


def is_own_site(headers: Headers, names: Collection[str]) -> bool:
    """Return whether a request comes from this server's page, or from no page.

    Args:
      headers: headers of the request.
      names: names of this server, see `own_names`. A site whose own name leads to this
        machine would pass for the server otherwise.
    """
    try:
        host = urlsplit(f"//{headers.get('host', '')}")
        origin = urlsplit(headers.get("origin", f"//{host.netloc}"))
    except ValueError:
        # Brackets of IPv6 that do not close.
        return False
    if names and host.hostname not in names:
        return False
    # Another port of this machine is another site.
    if origin.netloc.lower() == host.netloc.lower():
        return True
    # Proxies may replace the host, and then only the public name is known.
    return origin.hostname in names and origin.hostname not in LOOPBACK


def own_names(host: str, public_name: str | None) -> tuple[str, ...]:
    """Return the names by which clients know a server, in small letters; none for any.

    Args:
      host: address to listen at.
      public_name: name that its clients use, behind a proxy.
    """
    public = () if public_name is None else (public_name.lower(),)
    return (*LOOPBACK, *public) if host in LOOPBACK or public else ()


def check_public_name(name: str | None) -> None:
    """Raise an OptionError for a public name with a port, a scheme or a path."""
    if name is not None and NAME.fullmatch(name) is None:
        raise OptionError(
            f"public_name is {name!r}: pass only a name, such as portraits.example, without a port"
        )
