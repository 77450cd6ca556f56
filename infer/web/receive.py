"""Uploads as browsers send them: a form with one file."""

from collections.abc import AsyncGenerator, AsyncIterator

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from infer.limits import (
    NO_ROOM,
    NO_ROOM_STATUS,
    TooLargeError,
    UploadError,
    UploadLimits,
    is_full,
)
from infer.uploads import Upload
from infer.web.files import Shelf

FORM = "multipart/form-data"
"""Type of a body that holds a file."""
FORM_BYTES = 10_000
"""Bytes of a form around its file, at most."""
BAD, TOO_LARGE = 400, 413
"""Statuses of HTTP."""


class TooLongError(MultiPartException):
    """A form beyond the limit; Starlette closes its files."""


async def receive(shelf: Shelf, request: Request) -> Response:
    """Store a file that a component sends; return its place, as Gradio expects it."""
    try:
        upload = await receive_file(shelf, request)
    except (TooLargeError, TooLongError) as error:
        return PlainTextResponse(str(error), TOO_LARGE)
    except (UploadError, MultiPartException) as error:
        return PlainTextResponse(str(error), BAD)
    except OSError as error:
        if not is_full(error):
            raise
        return PlainTextResponse(NO_ROOM, NO_ROOM_STATUS)
    return JSONResponse([str(upload.path)])


async def receive_file(shelf: Shelf, request: Request) -> Upload:
    """Store the file of a form.

    Raises:
      UploadError: it is not accepted, or there is none.
      MultiPartException: the form is damaged, or too long.
    """
    # Starlette would read any other body as an empty form.
    if not request.headers.get("content-type", "").startswith(FORM):
        raise UploadError(f"the request holds no file: send it as {FORM}")
    # Starlette itself limits fields of a form, and no files.
    stream = bound(request.stream(), shelf.uploads.limits)
    form = await MultiPartParser(request.headers, stream, max_files=1).parse()
    try:
        return await store(shelf, form)
    finally:
        await form.close()


async def store(shelf: Shelf, form: FormData) -> Upload:
    file = form.get("files")
    if file is None or isinstance(file, str):
        raise UploadError("the form holds no file: send it as `files`")
    # Probing takes a while, and others wait.
    return await run_in_threadpool(shelf.receive, file.file, file.filename or "")


async def bound(
    stream: AsyncIterator[bytes], limits: UploadLimits
) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a body; raise a TooLongError beyond the limit of a file."""
    count = 0
    async for piece in stream:
        count += len(piece)
        try:
            limits.check_bytes(count - FORM_BYTES)
        except TooLargeError as error:
            raise TooLongError(str(error)) from error
        yield piece
