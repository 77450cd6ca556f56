"""The application of a server: live sessions, jobs, page, health and figures."""

from collections.abc import AsyncIterator, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from infer.jobs import JobLimits, JobQueue, UnknownJobError
from infer.limits import NO_ROOM, NO_ROOM_STATUS, UploadLimits, is_full
from infer.serve.avatar import Avatar
from infer.serve.clips import ClipService, clip_router
from infer.serve.connection import SessionLimits
from infer.serve.live import LiveService, live_router
from infer.serve.metrics import Metrics
from infer.serve.portraits import Portraits
from infer.serve.security import Gate, Token
from infer.serve.slots import Slots
from infer.uploads import Uploads
from jaxportrait import demo

PAGE = Path(__file__).with_name("static")
FAILED = "the server has failed at this request: its log says why"
FILES = 3
"""Files of the largest request: source, driving and head."""
SPARE_BYTES = 2**20
"""Bytes of a request beside its files."""
POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' blob: data:; "
    "media-src 'self' blob:; worker-src 'self' blob:; frame-ancestors 'none'"
)
"""Content security policy of the page, which loads nothing from elsewhere."""


@dataclass(frozen=True)
class ServerLimits:
    """Limits of a server."""

    sessions: SessionLimits = field(default_factory=SessionLimits)
    uploads: UploadLimits = field(default_factory=UploadLimits)
    jobs: JobLimits = field(default_factory=JobLimits)


def create_app(
    avatar: Avatar,
    *,
    limits: ServerLimits | None = None,
    source: Path = demo.PORTRAIT,
    max_size: int = 512,
    token: str | None = None,
    names: Collection[str] = (),
) -> FastAPI:
    """Return the application; its threads start and end with it.

    Args:
      avatar: portrait and networks, warmed up.
      limits: limits of sessions, files and jobs.
      source: picture of jobs that bring none.
      max_size: longest side of portraits for sessions in pixels.
      token: bearer token that clients need.
      names: names by which clients know the server; none for any.
    """
    limits = limits or ServerLimits()
    metrics = Metrics()
    slots = Slots(limits.sessions.slots)
    portraits = Portraits()
    uploads = Uploads(limits.uploads)
    queue = JobQueue([avatar.animator], limits.jobs)
    threads = ThreadPoolExecutor(slots.count, thread_name_prefix="live")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        # The sessions have ended; a job ends at its next frame.
        threads.shutdown()
        queue.close()
        uploads.close()

    app = FastAPI(
        title="jaxportrait",
        description="A portrait that speaks: live over WebSocket, clips over REST.",
        lifespan=lifespan,
        # These pages of FastAPI load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    # Each file has its own check; this bounds what is read at all.
    most_bytes = FILES * limits.uploads.bytes + SPARE_BYTES
    access = Token(token)
    app.add_middleware(Gate, token=access, most_bytes=most_bytes, names=names)
    # Sessions and jobs share the networks, and nothing else.
    live = LiveService(
        avatar, portraits, limits.sessions, slots, threads, access, metrics
    )
    clips = ClipService(
        queue, uploads, portraits, avatar.animator, source, max_size, metrics
    )
    app.include_router(live_router(live))
    app.include_router(clip_router(clips))
    metrics.watch("sessions_active", "Live sessions now", lambda: slots.taken)
    metrics.watch("slots", "Slots of live sessions", lambda: slots.count)
    metrics.watch("jobs_waiting", "Jobs that wait", lambda: queue.waiting)
    _add_pages(app, metrics, slots)
    _add_errors(app)
    return app


def _add_pages(app: FastAPI, metrics: Metrics, slots: Slots) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(
            PAGE / "index.html", headers={"content-security-policy": POLICY}
        )

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Return the state of the server."""
        return {"status": "ok", "slots": slots.count, "sessions": slots.taken}

    @app.get("/metrics", include_in_schema=False)
    def figures() -> Response:
        return Response(
            generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST
        )

    # Script, style and worklet of the page.
    app.mount("/static", StaticFiles(directory=PAGE))


def _add_errors(app: FastAPI) -> None:
    """Answer every error by a line of JSON."""

    @app.exception_handler(UnknownJobError)
    def unknown_job(request: Request, error: UnknownJobError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 404)

    # Starlette's class: FastAPI's is one of it, and routes that do not exist raise it.
    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        # FastAPI does not tell why it could not store a body.
        if is_full(error.__cause__):
            return JSONResponse({"error": NO_ROOM}, NO_ROOM_STATUS)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(OSError)
    def not_stored(request: Request, error: OSError) -> JSONResponse:
        if not is_full(error):
            raise error
        return JSONResponse({"error": NO_ROOM}, NO_ROOM_STATUS)

    # The traceback goes to the log as well.
    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": FAILED}, 500)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        lines = [
            f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}"
            for item in error.errors()
        ]
        return JSONResponse({"error": "; ".join(lines)}, 422)
