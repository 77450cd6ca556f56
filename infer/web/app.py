"""The server of the page: Gradio's application behind a door of our own."""

from collections.abc import AsyncIterator

import gradio as gr
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser

from infer.limits import TooLargeError, UploadError
from infer.web.door import Door
from infer.web.look import CSS, make_theme
from infer.web.page import make_page
from infer.web.site import Site

UPLOAD = "/gradio_api/upload"
"""Where Gradio's components send files."""
UPLOAD_PROGRESS = "/gradio_api/upload_progress"
"""Where they ask for its progress."""
UPLOADED = 'data: {"msg": "done"}\n\n'
"""The only progress that there is: browsers show their own."""
FORM_BYTES = 10_000
"""Bytes of a form around its file, at most."""


def make_app(site: Site) -> FastAPI:
    """Return the application of a site."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    # Before Gradio's own route: that keeps users' names, and knows no limits of pixels.
    @app.post(UPLOAD)
    async def upload(request: Request) -> Response:
        return await receive(site, request)

    @app.get(UPLOAD_PROGRESS)
    async def progress() -> Response:
        return PlainTextResponse(UPLOADED, media_type="text/event-stream")

    @app.get("/result/{job_id}")
    async def result(job_id: str) -> Response:
        path = site.desk.result(job_id)
        if path is None:
            return PlainTextResponse("there is no such result, or no more", 404)
        return FileResponse(path)

    app.add_middleware(Door, upload=UPLOAD)
    page = make_page(site)
    page.queue(default_concurrency_limit=None, api_open=False)
    return gr.mount_gradio_app(
        app,
        page,
        path="/",
        theme=make_theme(),
        css=CSS,
        footer_links=[],
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        show_error=False,
    )


async def receive(site: Site, request: Request) -> Response:
    """Store a file that a component sends; return its place, as Gradio expects it."""
    limits = site.uploads.limits

    async def bounded() -> AsyncIterator[bytes]:
        count = 0
        async for piece in request.stream():
            count += len(piece)
            # The frame of the form is small beside its file.
            limits.check_bytes(count - FORM_BYTES)
            yield piece

    try:
        parser = MultiPartParser(request.headers, bounded(), max_files=1, max_fields=1)
        form = await parser.parse()
        file = form.get("files")
        if file is None or isinstance(file, str):
            raise UploadError("the form holds no file: send it as `files`")
        name = file.filename or ""
        stored = await run_in_threadpool(site.shelf.receive, file.file, name)
    except TooLargeError as error:
        return PlainTextResponse(str(error), 413)
    except (UploadError, MultiPartException) as error:
        return PlainTextResponse(str(error), 400)
    return JSONResponse([str(stored.path)])
