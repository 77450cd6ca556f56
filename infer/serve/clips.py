"""Whole clips over REST: jobs with progress, cancelling and results."""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel

from infer.job import JobState, replace_paths
from infer.job import Progress as JobProgress
from infer.jobs import JobQueue, QueueFullError, delete
from infer.limits import Kind, TooLargeError, UploadError
from infer.serve.metrics import Metrics
from infer.serve.portraits import Portraits
from infer.serve.strict import decode_strictly
from infer.uploads import Upload, Uploads
from jaxportrait import job
from jaxportrait.animation import AudioPriority, Retargeting, Sampling
from jaxportrait.animator import Animator
from jaxportrait.drivers.video import DrivingCrop
from jaxportrait.driving import DrivingKind, makes_picture
from jaxportrait.media.faces.box import Box
from jaxportrait.media.image import read_image
from jaxportrait.ranges import FrameRate, Natural, Quality, VideoSide

SOURCES: tuple[Kind, ...] = ("picture", "video")
DRIVINGS: tuple[Kind, ...] = ("sound", "video", "motion", "picture")
HEADS: tuple[Kind, ...] = ("video", "motion")
ClipFormat = Literal["mp4", "mkv", "webm", "gif", "webp", "png", "jpg"]

PICTURE_FORMATS = ("png", "jpg", "webp")
CLIP_FORMATS = ("mp4", "mkv", "webm", "gif", "webp")

TOO_LARGE = 413
UNUSABLE = 422
BUSY = 503
RETRY = {"retry-after": "30"}


@dataclass(frozen=True)
class ClipOptions:
    """The options of a clip; see `jaxportrait.job.Request` for each.

    Attributes:
      format: suffix of the result; png and jpg are for a driving picture.
    """

    format: ClipFormat = "mp4"
    driving_kind: DrivingKind = "auto"
    sampling: Sampling = field(default_factory=Sampling)
    retargeting: Retargeting = field(default_factory=Retargeting)
    crop: DrivingCrop = field(default_factory=DrivingCrop)
    lip_sync: bool | None = None
    audio_priority: AudioPriority = "driving"
    face: Natural | None = None
    box: Box | None = None
    max_size: VideoSide | None = None
    side_by_side: bool = False
    output_fps: FrameRate | None = None
    crf: Quality | None = None

    def request(
        self, source: Path, driving: Path, output: Path, head: Path | None
    ) -> job.Request:
        """Return the job of these files.

        Raises:
          ValueError: options that do not fit each other.
        """
        return job.Request(
            source,
            driving,
            output,
            driving_kind=self.driving_kind,
            head_from=head,
            crop=self.crop,
            lip_sync=self.lip_sync,
            audio_priority=self.audio_priority,
            face=self.face,
            box=self.box,
            max_size=self.max_size,
            sampling=self.sampling,
            retargeting=self.retargeting,
            side_by_side=self.side_by_side,
            output_fps=self.output_fps,
            crf=self.crf,
        )


class JobAnswer(BaseModel):
    """The state of a job."""

    id: str
    state: JobState
    ahead: int
    stage: str
    done: int
    total: int
    seconds_left: float | None
    remarks: list[str]
    error: str

    @classmethod
    def of(cls, job_id: str, progress: JobProgress) -> "JobAnswer":
        return cls(id=job_id, **asdict(progress))


class PortraitAnswer(BaseModel):
    """A portrait for live sessions."""

    id: str
    width: int
    height: int


class ErrorAnswer(BaseModel):
    """A reason in words."""

    error: str


@dataclass(frozen=True)
class ClipService:
    """The jobs of a server.

    Attributes:
      source: portrait of jobs that bring none.
      max_size: longest side of portraits for live sessions in pixels.
      encoding: held while a portrait is encoded, so that only one is.
    """

    queue: JobQueue[Animator]
    uploads: Uploads
    portraits: Portraits
    animator: Animator
    source: Path
    max_size: int
    metrics: Metrics
    encoding: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, file: UploadFile, kinds: tuple[Kind, ...]) -> Upload:
        """Store a file; raise an HTTPException for one that is not accepted."""
        try:
            return self.uploads.receive(file.file, file.filename or "", kinds)
        except UploadError as error:
            self.metrics.uploads_refused.inc()
            status = TOO_LARGE if isinstance(error, TooLargeError) else UNUSABLE
            raise HTTPException(status, str(error)) from error

    def submit(
        self,
        client: str,
        options: ClipOptions,
        files: dict[str, tuple[UploadFile | None, tuple[Kind, ...]]],
    ) -> str:
        """Store the files of a clip and queue it; nothing is left of a refused one."""
        uploads: dict[str, Upload] = {}
        # A random name, in the folder that is deleted with the server.
        output = self.uploads.place(f".{options.format}")
        try:
            for name, (file, kinds) in files.items():
                if file is not None:
                    uploads[name] = self.receive(file, kinds)
            work = self._work(options, uploads, output)
        except ValueError as error:
            delete(list(uploads.values()))
            line = replace_paths(str(error), self._names(uploads, output))
            raise HTTPException(UNUSABLE, line) from error
        # A full disk is no reason to keep the files that came before.
        except BaseException:
            delete(list(uploads.values()))
            raise
        # The queue deletes the files, whether it accepts the job or not.
        inputs = list(uploads.values())
        names = self._names(uploads, output)
        try:
            job_id = self.queue.submit(work, client=client, uploads=inputs, names=names)
        except QueueFullError as error:
            raise HTTPException(BUSY, str(error), RETRY) from error
        self.metrics.jobs.inc()
        return job_id

    def _names(self, uploads: dict[str, Upload], output: Path) -> dict[str, str]:
        """Return path -> name in messages; clients learn no path of the server."""
        names = {str(upload.path): upload.name for upload in uploads.values()}
        names[str(output)] = "the clip"
        names[str(self.source.absolute())] = "the portrait"
        # Last, since the files above lie in it.
        names[f"{self.uploads.folder}/"] = ""
        names[str(self.uploads.folder)] = "the server's folder"
        return names

    def _work(
        self, options: ClipOptions, uploads: dict[str, Upload], output: Path
    ) -> Callable[[Animator, job.Notify], Path]:
        check_format(options, uploads)
        has_source = "source" in uploads
        source = uploads["source"].path if has_source else self.source.absolute()
        head = uploads["head"].path if "head" in uploads else None
        request = options.request(source, uploads["driving"].path, output, head)

        def work(animator: Animator, notify: job.Notify) -> Path:
            return job.run_job(request, animator, notify).path

        return work

    def add_portrait(self, client: str, file: UploadFile) -> PortraitAnswer:
        """Encode a picture for live sessions, one at a time."""
        if not self.encoding.acquire(blocking=False):
            line = "another portrait is being encoded: try again later"
            raise HTTPException(BUSY, line, RETRY)
        try:
            return self._encode(client, file)
        finally:
            self.encoding.release()

    def _encode(self, client: str, file: UploadFile) -> PortraitAnswer:
        upload = self.receive(file, ("picture",))
        try:
            image = read_image(upload.path, self.max_size)
            portrait = self.animator.prepare(image)
        except (ValueError, OSError) as error:
            raise HTTPException(UNUSABLE, upload.name_in(str(error))) from error
        finally:
            upload.delete()
        # Networks keep the face, and the paste the picture: the file may go.
        width, height = portrait.size
        portrait_id = self.portraits.add(portrait, client)
        return PortraitAnswer(id=portrait_id, width=width, height=height)


def check_format(options: ClipOptions, uploads: dict[str, Upload]) -> None:
    """Raise a ValueError unless the format can hold what the files make."""
    moves = "source" in uploads and uploads["source"].kind == "video"
    driving = uploads["driving"].path
    is_picture = makes_picture(driving, options.driving_kind) and not moves
    choices = PICTURE_FORMATS if is_picture else CLIP_FORMATS
    if options.format not in choices:
        kind = "one picture" if is_picture else "a clip"
        raise ValueError(
            f"format {options.format} does not fit, since the files make {kind}: use one of {', '.join(choices)}"
        )


def address_of(request: Request) -> str:
    """Return a client's address, which stands for the client."""
    return request.client.host if request.client else ""


def clip_router(service: ClipService) -> APIRouter:
    """Return the routes of jobs and portraits."""
    errors = {status: {"model": ErrorAnswer} for status in (401, 404, 413, 422, 503)}
    router = APIRouter(prefix="/v1", responses=errors)  # type: ignore[arg-type]
    queue = service.queue

    @router.post("/jobs", status_code=202)
    def submit(
        request: Request,
        driving: Annotated[UploadFile, File(description="sound, video or motion")],
        source: Annotated[
            UploadFile | None, File(description="picture or video with a face")
        ] = None,
        head: Annotated[
            UploadFile | None, File(description="moves all but the lips, for sound")
        ] = None,
        options: Annotated[
            str, Form(description="`ClipOptions` as JSON; see docs/serving.md")
        ] = "{}",
    ) -> JobAnswer:
        """Queue a clip."""
        try:
            clip_options = decode_strictly(options, ClipOptions)
        except ValueError as error:
            raise HTTPException(UNUSABLE, str(error)) from error
        files = {
            "driving": (driving, DRIVINGS),
            "source": (source, SOURCES),
            "head": (head, HEADS),
        }
        # Clients take turns by their addresses.
        job_id = service.submit(address_of(request), clip_options, files)
        return JobAnswer.of(job_id, queue.progress(job_id))

    @router.get("/jobs/{job_id}")
    def progress(job_id: str) -> JobAnswer:
        """Return the state of a job."""
        return JobAnswer.of(job_id, queue.progress(job_id))

    @router.delete("/jobs/{job_id}")
    def cancel(job_id: str) -> JobAnswer:
        """End a job, or delete its result."""
        queue.cancel(job_id)
        return JobAnswer.of(job_id, queue.progress(job_id))

    @router.get("/jobs/{job_id}/result")
    def result(job_id: str) -> FileResponse:
        """Return the clip of a job that is done."""
        path = queue.result(job_id)
        if path is None:
            state = queue.progress(job_id).state
            raise HTTPException(409, f"the job is {state}, and has no result")
        # A name of our own: clients gave none.
        return FileResponse(path, filename=f"clip{path.suffix}")

    @router.post("/portraits", status_code=201)
    def add_portrait(
        request: Request,
        picture: Annotated[UploadFile, File(description="picture with a face")],
    ) -> PortraitAnswer:
        """Encode a picture for live sessions."""
        return service.add_portrait(address_of(request), picture)

    return router
