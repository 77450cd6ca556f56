"""Jobs: from a request to a video file, for every program that makes clips."""

from jaxportrait.job.cache import JobCache
from jaxportrait.job.events import (
    Event,
    FrameDone,
    JobNote,
    JobWarning,
    Notify,
    StageEnded,
    StageStarted,
)
from jaxportrait.job.request import ClipFile, Networks, Request
from jaxportrait.job.run import run_job
from jaxportrait.job.stages import time_stages

__all__ = [
    "ClipFile",
    "Event",
    "FrameDone",
    "JobCache",
    "JobNote",
    "JobWarning",
    "Networks",
    "Notify",
    "Request",
    "StageEnded",
    "StageStarted",
    "run_job",
    "time_stages",
]
