"""The door of the server: what may come in, and where the page may look."""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from infer.origin import is_own_site

POLICY = "; ".join(
    [
        "default-src 'self' data: blob:",
        # Gradio has scripts and styles within its page.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "connect-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    ]
)
"""Content security policy: browsers refuse requests to any other place."""
MOST_BYTES = 2**20
"""Bytes of a request that is no upload: values of sliders and names of files."""
OTHER_SITE = "requests of other sites are not accepted"
CLOSED = ("proxy=", "file=http", "file/http")
"""Parts of addresses under which Gradio would fetch others for the asker."""


class BodyTooLargeError(Exception):
    """Ends a request whose body is too long."""


class Door:
    """Adds the policy to every answer, and refuses other sites, long bodies and closed
    addresses.

    A page of another site that is open in a person's browser reaches servers on the
    person's own machine: its origin gives it away.

    Attributes:
      app: the application behind it.
      upload: address whose bodies have limits of their own.
      names: names by which clients know the server; none for any.
    """

    def __init__(self, app: ASGIApp, upload: str, names: Collection[str] = ()):
        self.app = app
        self.upload = upload
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        is_own = is_own_site(Headers(scope=scope), self.names)
        if scope["type"] == "websocket":
            app = self.app if is_own else WebSocketClose(1008, OTHER_SITE)
            await app(scope, receive, send)
            return
        # Also refusals have the policy.
        answer = with_policy(send)
        if is_own:
            await self._serve(scope, receive, answer)
        else:
            await refuse(403, OTHER_SITE, scope, receive, answer)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of the page itself."""
        path = scope["path"]
        # Wherever it stands, and in letters of any case.
        if any(part in path.lower() for part in CLOSED):
            await refuse(404, "nothing is fetched from elsewhere", scope, receive, send)
            return
        if path == self.upload:
            await self.app(scope, receive, send)
            return
        try:
            message = await read_body(scope, receive)
        except BodyTooLargeError:
            await refuse(413, "the request is too long", scope, receive, send)
            return
        await self.app(scope, replay(message, receive), send)


async def refuse(
    status: int, line: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer with a status and one line."""
    # The rest of a body is not read.
    headers = {"connection": "close"}
    await PlainTextResponse(line, status, headers)(scope, receive, send)


def stated_length(scope: Scope) -> int:
    """Return the length of a body that its header states; 0 for none."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0


def with_policy(send: Send) -> Send:
    """Return `send` with the policy in the headers of the answer."""

    async def send_with_policy(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = POLICY
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
        await send(message)

    return send_with_policy


async def read_body(scope: Scope, receive: Receive) -> Message:
    """Return a whole body as one message, or that the client is gone.

    Gradio would answer an error while it reads by a status of its own.

    Raises:
      BodyTooLargeError: it is longer than it may be, whatever its header states.
    """
    if stated_length(scope) > MOST_BYTES:
        raise BodyTooLargeError
    body = bytearray()
    # A body may come in pieces of any size.
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return message
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise BodyTooLargeError
        if not message.get("more_body", False):
            return {"type": "http.request", "body": bytes(body)}


def replay(first: Message, receive: Receive) -> Receive:
    """Return a `receive` that begins with a message that was read before."""
    messages = [first]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
