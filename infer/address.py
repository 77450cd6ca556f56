"""The option of servers that says where they listen."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from infer.origin import LOOPBACK, check_public_name, own_names
from jaxportrait.ranges import Range, check_ranges

Port = Annotated[int, Range(0, 65_535)]


@dataclass(frozen=True)
class Address:
    """The address of a server.

    Attributes:
      host: address to listen on; 0.0.0.0 is every network of this machine.
      port: port to listen on; 0 is a free one.
      public_name: name by which clients know the server, behind a proxy.
    """

    # Nobody else reaches a server unless its user says so.
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1"
    port: Port = 0
    public_name: Annotated[str | None, arg(metavar="NAME")] = None

    def __post_init__(self) -> None:
        check_ranges(self)
        check_public_name(self.public_name)

    @property
    def is_local(self) -> bool:
        """True where only this machine reaches the server."""
        return self.host in LOOPBACK

    @property
    def names(self) -> tuple[str, ...]:
        """Names by which clients know the server; none for any."""
        return own_names(self.host, self.public_name)
