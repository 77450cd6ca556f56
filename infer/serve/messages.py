"""Messages of a live session, which are JSON beside the bytes of sound and frames."""

from typing import Any, Literal, TypeVar

import msgspec

from infer.serve.pcm import SampleFormat
from infer.serve.pictures import FrameFormat
from jaxportrait.ranges import Seed, check_value

T = TypeVar("T")

# Codes of RFC 6455 with which a server closes.
DONE = 1000
INVALID = 1007
REFUSED = 1008
FAILED = 1011
BUSY = 1013


class Start(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="start"):
    """The first message of a client.

    Attributes:
      sound: format of the samples that follow as bytes, 16 kHz mono.
      frames: "jpeg" for a picture a message, "mp4" for fragments of one video with
        sound.
      seed: decides the motion; by default the server's.
      idle: continue with silence where no sound comes in time.
      portrait: id of a portrait that was uploaded; by default the server's.
      token: the server's bearer token, for browsers, which send no header.
    """

    sound: SampleFormat = "s16"
    frames: FrameFormat = "jpeg"
    seed: int | None = None
    idle: bool = True
    portrait: str | None = None
    token: str | None = None


class End(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="end"):
    """The sound has ended: the server sends the remaining frames, and closes."""


class RefusalError(Exception):
    """A session that ends with a line for its client.

    Attributes:
      code: code with which the connection is closed.
    """

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


def read_start(text: str | None) -> Start:
    """Read the first message; raise a RefusalError for any other."""
    message = decode(text, Start, '{"type": "start", "sound": "s16"}')
    # msgspec checks types, and no ranges.
    try:
        check_value("seed", message.seed, Seed)
    except ValueError as error:
        raise RefusalError(str(error), INVALID) from error
    return message


def read_end(text: str | None) -> End:
    """Read a message within a session; raise a RefusalError for any but the end."""
    return decode(text, End, '{"type": "end"}')


def decode(text: str | None, kind: type[T], example: str) -> T:
    # Bytes come without a text.
    if text is None:
        raise RefusalError(
            f"the first message is bytes: send a text first, such as {example}", INVALID
        )
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise RefusalError(
            f"a message cannot be read ({error}): send one such as {example}", INVALID
        ) from error


def encode(kind: Literal["ready", "sound", "end", "error"], **fields: Any) -> str:
    """Return a message of the server."""
    return msgspec.json.encode({"type": kind, **fields}).decode()
