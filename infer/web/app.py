"""The server of the page: Gradio's application behind a door of our own."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import gradio as gr
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse

from infer.web.door import Door
from infer.web.look import CSS, make_theme
from infer.web.offline import forbid_downloads
from infer.web.page import make_page
from infer.web.receive import receive
from infer.web.site import Site

UPLOAD = "/gradio_api/upload"
"""Address to which Gradio's components send files."""
UPLOAD_PROGRESS = "/gradio_api/upload_progress"
"""Address at which they ask for the progress of that."""
UPLOADED = 'data: {"msg": "done"}\n\n'
"""The only progress that there is: browsers show their own."""


def make_app(site: Site, names: Collection[str] = ()) -> FastAPI:
    """Return the application of a site.

    Args:
      names: names by which clients know the server; none for any.
    """
    # Where no event loop runs, Gradio opens several and closes none.
    return asyncio.run(build_app(site, names))


async def build_app(site: Site, names: Collection[str]) -> FastAPI:
    """Build the application within an event loop."""

    @asynccontextmanager
    async def sweep(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(site.shelf.keep_swept())
        yield
        task.cancel()

    # The page is for people; programs have the command line and `infer.serve`.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=sweep)

    # Before Gradio's own route: that keeps users' names, and knows no limits of pixels.
    @app.post(UPLOAD)
    async def upload(request: Request) -> Response:
        return await receive(site.shelf, request)

    @app.get(UPLOAD_PROGRESS)
    async def progress() -> Response:
        return PlainTextResponse(UPLOADED, media_type="text/event-stream")

    @app.get("/result/{job_id}")
    async def result(job_id: str) -> Response:
        path = site.desk.result(job_id)
        if path is None:
            return PlainTextResponse("there is no such result, or no more", 404)
        return FileResponse(path)

    app.add_middleware(Door, upload=UPLOAD, names=names)
    forbid_downloads()
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
