"""Access to a server: a token, the page's own origin, and bodies within a limit."""

import hmac
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from infer.origin import is_own_site

SCHEME = "bearer "
OPEN_PATHS = ("/", "/health")
"""Paths without a token: the page, which asks for it, and the state of the server."""
STATIC = "/static/"


class Token:
    """An optional token, compared in constant time.

    Args:
      value: the token; None admits everybody.
    """

    def __init__(self, value: str | None):
        self._value = None if value is None else value.encode()

    def is_equal(self, value: str | None) -> bool:
        """Return whether a client's token is right, or none is needed."""
        if self._value is None:
            return True
        return hmac.compare_digest((value or "").encode(), self._value)

    def admits(self, authorization: str | None) -> bool:
        """Return whether a header `Authorization` admits a client."""
        header = authorization or ""
        is_bearer = header.lower().startswith(SCHEME)
        return self.is_equal(header[len(SCHEME) :] if is_bearer else None)


class Gate:
    """Refuses requests of other sites, without the token, or with too large a body.

    A page of another site that is open in a user's browser reaches servers on the
    user's own machine: its origin gives it away. Sessions check the token themselves,
    since browsers send it in their first message.

    Args:
      app: handles the requests that pass.
      token: the token of requests over HTTP.
      most_bytes: bytes of the largest body.
      names: names by which clients know this server; none for any.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: Token,
        most_bytes: int,
        names: Collection[str] = (),
    ):
        self._app = app
        self._names = names
        self._token = token
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not is_own_site(headers, self._names):
            await self._refuse(
                403, "requests of other sites are not accepted", scope, receive, send
            )
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        if not (
            is_open(scope["path"]) or self._token.admits(headers.get("authorization"))
        ):
            await self._refuse(
                401, "the bearer token is missing or wrong", scope, receive, send
            )
            return
        await self._serve_bounded(scope, receive, send, headers)

    async def _serve_bounded(
        self, scope: Scope, receive: Receive, send: Send, headers: Headers
    ) -> None:
        # What is stated is refused before it is read.
        stated = headers.get("content-length", "0")
        line = f"the request has more than {self._most_bytes / 2**20:g} MiB, which is the limit"
        if not stated.isdigit() or int(stated) > self._most_bytes:
            await self._refuse(413, line, scope, receive, send)
            return
        count = 0

        async def receive_bounded() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            # A body in chunks states no length.
            if count > self._most_bytes:
                # Parsers of bodies let no other error through.
                raise HTTPException(413, line, {"connection": "close"})
            return message

        await self._app(scope, receive_bounded, send)

    async def _refuse(
        self, status: int, line: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose(1008, line)(scope, receive, send)
            return
        # The rest of a body is not read.
        headers = {"connection": "close"}
        if status == 401:
            headers["www-authenticate"] = "Bearer"
        response = JSONResponse({"error": line}, status, headers)
        await response(scope, receive, send)


def is_open(path: str) -> bool:
    """Return whether a path needs no token."""
    return path in OPEN_PATHS or path.startswith(STATIC)
