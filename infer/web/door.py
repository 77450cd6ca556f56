"""The door of the server: what may come in, and where the page may look."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
CLOSED = ("proxy=", "file=http", "file/http")
"""Parts of addresses under which Gradio would fetch others for the asker."""


class BodyTooLargeError(Exception):
    """Ends a request whose body is too long."""


class Door:
    """Adds the policy to every answer, and refuses long bodies and closed addresses.

    Attributes:
      app: the application behind it.
      upload: address whose bodies have limits of their own.
    """

    def __init__(self, app: ASGIApp, upload: str):
        self.app = app
        self.upload = upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Also refusals have the policy.
        answer = with_policy(send)
        path = scope["path"]
        # Wherever it stands, and in letters of any case.
        if any(part in path.lower() for part in CLOSED):
            refusal = PlainTextResponse("nothing is fetched from elsewhere", 404)
            await refusal(scope, receive, answer)
            return
        if path == self.upload:
            await self.app(scope, receive, answer)
            return
        if stated_length(scope) > MOST_BYTES:
            refusal = PlainTextResponse("the request is too long", 413)
            await refusal(scope, receive, answer)
            return
        await self.app(scope, bounded(receive), answer)


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


def bounded(receive: Receive) -> Receive:
    """Return `receive` that raises a BodyTooLargeError for a body that is longer than
    it may be, whatever its header states."""
    count = 0

    async def receive_bounded() -> Message:
        nonlocal count
        # A body may come in pieces of any size.
        message = await receive()
        count += len(message.get("body", b""))
        if count > MOST_BYTES:
            raise BodyTooLargeError
        return message

    return receive_bounded
