"""The work on rows, in a process of its own that keeps networks and portraits."""

import os
import time
import traceback
from dataclasses import dataclass, replace
from functools import cache

import jax

from infer.__main__ import configure
from infer.batch.plan import Task
from infer.batch.results import Entry, size_of
from infer.config import DeviceOptions
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.console.errors import explain
from jaxportrait.console.words import as_options
from jaxportrait.job import (
    ClipFile,
    Event,
    JobCache,
    JobWarning,
    Networks,
    StageEnded,
    run_job,
)
from jaxportrait.job.faces import FacesRequest, run_faces


@dataclass(frozen=True)
class Place:
    """The devices of a worker.

    Attributes:
      first: number of its first device, of those of this machine.
      width: devices that share the frames of its clips.
      shared: other workers use them too.
    """

    first: int
    width: int
    shared: bool = False


def load_worker(options: DeviceOptions, place: Place | None = None) -> None:
    """Prepare this process for rows.

    Args:
      place: its devices; by default all.

    Raises:
      ValueError: there is no device of the platform.
      OSError: the cache of compiled programs cannot be used.
    """
    # The allocator reads its settings before anything is computed.
    keep_freed_memory()
    if place is not None:
        if place.shared:
            os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        # Other GPUs are other processes': JAX would reserve the memory of all.
        last = place.first + place.width
        visible = ",".join(str(number) for number in range(place.first, last))
        jax.config.update("jax_cuda_visible_devices", visible)
    configure(options)
    if place is not None and jax.default_backend() != "gpu":
        # JAX cannot hide devices of other kinds.
        jax.config.update("jax_default_device", jax.local_devices()[place.first])
    _state().place = place


def count_devices(options: DeviceOptions) -> tuple[str, int]:
    """Return the platform of this process, and how many devices it has.

    Raises:
      ValueError: there is no device of the platform.
    """
    configure(options)
    return jax.default_backend(), jax.local_device_count()


def work(task: Task) -> Entry:
    """Make the clip of a row; a failure is a result as well."""
    start = time.perf_counter()
    figures = Figures()
    try:
        clip = make_clip(task, figures)
    except Exception as error:
        seconds = round(time.perf_counter() - start, 3)
        return task.entry(
            status="failed",
            reason=describe(error, debug=task.options.debug),
            seconds=seconds,
            device=_state().device,
        )
    return task.entry(
        status="done",
        warnings=tuple(figures.warnings),
        seconds=round(time.perf_counter() - start, 3),
        compile_seconds=round(figures.compile_seconds, 3),
        frames=figures.frames,
        render_fps=round(figures.render_fps, 2),
        clip_seconds=round(clip.seconds, 3),
        size=clip.size,
        bytes=size_of(clip.path),
        device=_state().device,
    )


def make_clip(task: Task, figures: "Figures") -> ClipFile:
    """Make a clip by the job that the program for one clip runs.

    Raises:
      ValueError, OSError: it cannot be made.
    """
    networks = _state().networks(task.options.networks())
    if task.others is not None:
        faces = FacesRequest(task.clip, task.others)
        return run_faces(faces, networks, figures, _state().jobs)
    return run_job(task.clip, networks, figures, _state().jobs)


def describe(error: Exception, *, debug: bool = False) -> str:
    """Return a line about an error of a row.

    Args:
      debug: print the traceback as well.
    """
    if debug:
        traceback.print_exception(error)
    line = explain(error)
    # A message of another kind may say little by itself.
    is_plain = isinstance(error, ValueError | OSError)
    return line if is_plain else f"{type(error).__name__}: {line}"


class Figures:
    """The figures of a job, gathered from its events."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.compile_seconds = 0.0
        self.frames = 0
        self.render_fps = 0.0

    def __call__(self, event: Event) -> None:
        """Note an event."""
        match event:
            case JobWarning():
                line = as_options(event.message)
                # Some come again at the end, where a user looks for the result.
                if line not in self.warnings:
                    self.warnings.append(line)
            case StageEnded():
                self.compile_seconds += event.compile_seconds
                if event.frames:
                    seconds = event.seconds - event.compile_seconds
                    self.frames = event.frames
                    self.render_fps = event.frames / max(seconds, 1e-9)


class _State:
    """Values that this process keeps between rows."""

    def __init__(self) -> None:
        self.jobs = JobCache()
        self.place: Place | None = None

    def networks(self, networks: Networks) -> Networks:
        """Return networks on the devices of this process."""
        if self.place is None or networks.devices is not None:
            return networks
        return replace(networks, devices=self.place.width)

    @property
    def device(self) -> str:
        """The first of the devices, such as cpu:1."""
        first = 0 if self.place is None else self.place.first
        return f"{jax.default_backend()}:{first}"


@cache
def _state() -> _State:
    return _State()
