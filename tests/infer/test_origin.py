"""Sites of requests: a server's own page, and others that are open in a browser."""

import pytest
from starlette.datastructures import Headers

from infer.origin import LOOPBACK, check_public_name, is_own_site, own_names
from jaxportrait.ranges import OptionError

PUBLIC = own_names("127.0.0.1", "Portraits.Example")


def is_accepted(names: tuple[str, ...], host: str, origin: str | None = None) -> bool:
    headers = {"host": host} if origin is None else {"host": host, "origin": origin}
    return is_own_site(Headers(headers), names)


@pytest.mark.parametrize(
    ("names", "host", "origin"),
    [
        (LOOPBACK, "localhost:80", None),
        (LOOPBACK, "LOCALHOST:8765", "http://localhost:8765"),
        (LOOPBACK, "[::1]:8765", "http://[::1]:8765"),
        # A proxy that forwards the name, and one that replaces it.
        (PUBLIC, "portraits.example", "https://portraits.example"),
        (PUBLIC, "127.0.0.1:8765", "https://portraits.example"),
        # Any name where others of the network are let in.
        ((), "box.local:8765", "http://box.local:8765"),
    ],
)
def test_the_server_s_own_page_is_accepted(names, host, origin):
    assert is_accepted(names, host, origin)


@pytest.mark.parametrize(
    ("names", "host", "origin"),
    [
        # A name of another site that leads to this machine.
        (LOOPBACK, "elsewhere.example", "http://elsewhere.example"),
        (LOOPBACK, "127.0.0.1:8765", "http://localhost:3000"),
        (PUBLIC, "127.0.0.1:8765", "http://localhost:3000"),
        (PUBLIC, "127.0.0.1:8765", "http://elsewhere.example"),
        (LOOPBACK, "127.0.0.1:8765", "null"),
        (LOOPBACK, "127.0.0.1:8765", "http://["),
        (LOOPBACK, "[", None),
        ((), "[", None),
        ((), "box.local", "http://elsewhere.example"),
    ],
)
def test_other_sites_are_refused(names, host, origin):
    assert not is_accepted(names, host, origin)


def test_names_are_those_of_this_machine_unless_others_are_let_in():
    assert own_names("127.0.0.1", None) == LOOPBACK
    assert own_names("0.0.0.0", None) == ()
    assert own_names("0.0.0.0", "Portraits.Example") == PUBLIC
    assert "portraits.example" in PUBLIC


@pytest.mark.parametrize("name", ["a.example:443", "https://a.example", "a/b", "", "ä"])
def test_a_public_name_is_only_a_name(name):
    with pytest.raises(OptionError, match=r"public_name is .*: pass only a name"):
        check_public_name(name)
    check_public_name("portraits.example")
    check_public_name(None)
