"""A queue of jobs for people who wait: fair, with progress, cancelling and expiry."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from infer.job import Device, Job, JobCancelledError, JobState, Progress, Work
from infer.uploads import Upload
from jaxportrait.job import Event
from jaxportrait.ranges import Count, Positive, check_ranges

CLOSING_SECONDS = 5.0
"""Time for running jobs to end at an event."""


class UnknownJobError(LookupError):
    """A job id that does not exist, or whose job has expired."""


class QueueFullError(RuntimeError):
    """A queue that accepts no further job."""


@dataclass(frozen=True)
class JobLimits:
    """Limits of a queue.

    Attributes:
      waiting: jobs that wait.
      waiting_each: jobs of one client that wait.
      expiry: seconds for which a job and its result are kept after its end.
    """

    waiting: Count = 32
    waiting_each: Count = 8
    expiry: Positive = 900.0

    def __post_init__(self) -> None:
        check_ranges(self)


class JobQueue(Generic[Device]):
    """Jobs in turn, one at a time on every device.

    Clients take turns, and a client's jobs run in the order in which they came: ten
    jobs of one client delay another's by one job.

    Args:
      devices: objects that work runs on, such as an `Animator`, each with a thread.
      limits: lengths of the queue, and expiry.
      clock: returns seconds.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        limits: JobLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.limits = limits or JobLimits()
        self._clock = clock
        self._jobs: dict[str, Job[Device]] = {}
        self._turn = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(
                target=self._serve, args=(device,), name="job", daemon=True
            )
            for device in devices
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        work: Work[Device],
        *,
        client: str = "",
        uploads: Sequence[Upload] = (),
        names: Mapping[str, str] | None = None,
    ) -> str:
        """Add a job, and return its id.

        Args:
          work: called in a device's thread, with the device and `notify`.
          client: name of the person or program that waits, such as an address.
          uploads: inputs, which are deleted when the job is over, however it ends.
          names: path of another file -> its name in messages.

        Raises:
          QueueFullError: too many jobs wait; the uploads are deleted as well.
        """
        with self._changed:
            self._forget_expired()
            try:
                self._check_room(client)
            except QueueFullError:
                delete(uploads)
                raise
            turn = self._next_turn(client)
            job_id = secrets.token_hex(16)
            job = Job(job_id, client, work, turn, uploads, names or {})
            self._jobs[job_id] = job
            self._changed.notify_all()
            return job_id

    def progress(self, job_id: str) -> Progress:
        """Return the state of a job; raise an UnknownJobError if there is none."""
        with self._changed:
            job = self._find(job_id)
            waiting = self._waiting()
            return Progress(
                job.state,
                waiting.index(job) if job in waiting else 0,
                job.stage,
                job.done,
                job.total,
                job.seconds_left(self._clock()),
                tuple(job.remarks),
                job.error,
            )

    def result(self, job_id: str) -> Path | None:
        """Return the file of a job that is done, and None for any other; raise an
        UnknownJobError if there is no such job."""
        with self._changed:
            return self._find(job_id).result

    def cancel(self, job_id: str) -> None:
        """End a job at its next event; its result is whole or absent.

        The result of a job that is done is deleted. Raises an UnknownJobError if there
        is no such job.
        """
        with self._changed:
            job = self._find(job_id)
            # A running job reads this at its next event.
            job.is_cancelled = True
            if job.state == JobState.DONE:
                self._delete_result(job)
                job.state = JobState.CANCELLED
            elif job.state == JobState.QUEUED:
                self._end(job, JobState.CANCELLED)

    def wait(self, job_id: str, seconds: float | None = None) -> Progress:
        """Wait until a job is over, or for so many seconds, and return its state."""
        with self._changed:
            job = self._find(job_id)
            self._changed.wait_for(lambda: job.state.is_over, seconds)
        return self.progress(job_id)

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        with self._changed:
            return len(self._waiting())

    def close(self) -> None:
        """Cancel all jobs, wait for the threads, and delete all results.

        A job that has no event for `CLOSING_SECONDS` ends with the process.
        """
        with self._changed:
            self._is_closed = True
            for job in self._jobs.values():
                job.is_cancelled = True
            for job in self._waiting():
                self._end(job, JobState.CANCELLED)
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(CLOSING_SECONDS)
        for job in self._jobs.values():
            self._delete_result(job)
        self._jobs.clear()

    # Methods below, but for `_serve`, `_run` and `_notify`, are called under the lock.

    def _find(self, job_id: str) -> Job[Device]:
        self._forget_expired()
        if job_id not in self._jobs:
            raise UnknownJobError(
                "there is no such job, or it has expired: submit it again"
            )
        return self._jobs[job_id]

    def _waiting(self) -> list[Job[Device]]:
        """Return the jobs that wait, the next first."""
        jobs = [job for job in self._jobs.values() if job.state == JobState.QUEUED]
        # Sorting is stable: within a turn, first come, first served.
        return sorted(jobs, key=lambda job: job.turn)

    def _check_room(self, client: str) -> None:
        waiting = self._waiting()
        if self._is_closed:
            raise QueueFullError("the server is shutting down: try again later")
        if len(waiting) >= self.limits.waiting:
            raise QueueFullError(f"{len(waiting)} jobs wait already: try again later")
        share = sum(job.client == client for job in waiting)
        if share >= self.limits.waiting_each:
            raise QueueFullError(f"{share} of your jobs wait already: wait for one")

    def _next_turn(self, client: str) -> int:
        # A client that was idle joins the turn in progress, and gains none.
        turn = self._turn
        for job in self._jobs.values():
            if job.client == client and job.state != JobState.CANCELLED:
                turn = max(turn, job.turn + 1)
        return turn

    def _end(self, job: Job[Device], state: JobState) -> None:
        job.state = state
        job.end = self._clock()
        delete(job.uploads)
        self._changed.notify_all()

    def _delete_result(self, job: Job[Device]) -> None:
        if job.result is not None:
            job.result.unlink(missing_ok=True)
        job.result = None

    def _forget_expired(self) -> None:
        oldest = self._clock() - self.limits.expiry
        for job in list(self._jobs.values()):
            if job.state.is_over and job.end < oldest:
                self._delete_result(job)
                del self._jobs[job.id]

    def _next(self) -> Job[Device] | None:
        """Wait for a job and return it as running; None when the queue is closed."""
        with self._changed:
            while not self._is_closed:
                waiting = self._waiting()
                if waiting:
                    job = waiting[0]
                    job.state = JobState.RUNNING
                    self._turn = job.turn
                    return job
                # Idle queues forget, too.
                self._changed.wait(self.limits.expiry)
                self._forget_expired()
            return None

    def _serve(self, device: Device) -> None:
        while (job := self._next()) is not None:
            self._run(job, device)

    def _run(self, job: Job[Device], device: Device) -> None:
        def notify(event: Event) -> None:
            self._notify(job, event)

        state = JobState.FAILED
        try:
            job.result = job.work(device, notify)
            state = JobState.DONE
        except JobCancelledError:
            state = JobState.CANCELLED
        except Exception as error:
            job.fail(error)
        with self._changed:
            # Cancelled after its last event: nobody wants the result.
            if job.is_cancelled and state == JobState.DONE:
                self._delete_result(job)
                state = JobState.CANCELLED
            self._end(job, state)

    def _notify(self, job: Job[Device], event: Event) -> None:
        with self._changed:
            job.note(event, self._clock())
            if job.is_cancelled:
                raise JobCancelledError


def delete(uploads: Sequence[Upload]) -> None:
    for upload in uploads:
        upload.delete()
