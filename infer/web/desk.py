"""The desk of the page: people hand in work, and watch it until it is done."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from infer.job import Progress
from infer.jobs import JobLimits, JobQueue, UnknownJobError
from infer.uploads import Upload
from infer.web.models import Models
from infer.web.pictures import encode_small
from jaxportrait.job import Event, FrameDone, Notify

Make = Callable[[Notify], Path]
"""Makes a result with `notify`, and returns its file."""
POLL = 0.2
"""Seconds between looks at a job."""
PREVIEW_INTERVAL = 0.4
"""Seconds between the pictures of a clip that is being rendered."""


@dataclass
class Ticket:
    """A job that a person watches.

    Attributes:
      queue: the queue it waits in.
      job_id: its id there.
      picture: the latest frame, as a JPEG; empty before the first.
    """

    queue: JobQueue[Models]
    job_id: str = ""
    picture: bytes = b""
    _shown: float = -PREVIEW_INTERVAL

    def look(self, event: Event) -> None:
        """Keep a small copy of a frame now and then."""
        if not isinstance(event, FrameDone) or event.picture is None:
            return
        # Copying every frame would slow the job.
        clock = time.monotonic()
        if clock - self._shown >= PREVIEW_INTERVAL:
            self._shown = clock
            self.picture = encode_small(event.picture)

    def result(self) -> Path | None:
        return self.queue.result(self.job_id)

    def cancel(self) -> None:
        """End the job, and delete its result."""
        try:
            self.queue.cancel(self.job_id)
        except UnknownJobError:
            # It has expired, with its result.
            return

    async def watch(self) -> AsyncIterator[Progress]:
        """Yield the progress of the job where it has changed, to its end.

        A person who goes away cancels the job.
        """
        progress = None
        picture = b""
        try:
            while progress is None or not progress.state.is_over:
                latest = self.queue.progress(self.job_id)
                if latest != progress or self.picture is not picture:
                    picture = self.picture
                    yield latest
                progress = latest
                if not progress.state.is_over:
                    await asyncio.sleep(POLL)
        finally:
            if progress is None or not progress.state.is_over:
                self.cancel()


@dataclass
class Desk:
    """The queues of a page: clips, and pictures that must not wait for clips.

    Attributes:
      models: the models, which both queues share.
      limits: limits of each queue.
      folder: private folder of inputs and results, which messages leave out.
    """

    models: Models
    limits: JobLimits = field(default_factory=JobLimits)
    folder: Path | None = None

    def __post_init__(self) -> None:
        # Each queue has a thread; both use the same networks.
        self.clips = JobQueue([self.models], self.limits)
        self.pictures = JobQueue([self.models], self.limits)
        self._tickets: dict[tuple[str, str], Ticket] = {}

    def submit(
        self,
        queue: JobQueue[Models],
        make: Make,
        person: str,
        place: str,
        uploads: Sequence[Upload] = (),
    ) -> Ticket:
        """Queue a job, and return its ticket.

        Args:
          make: the work.
          person: the session of the page.
          place: the tab; a later job there replaces the ticket to cancel.
          uploads: inputs, which are deleted when the job is over.

        Raises:
          QueueFullError: too many jobs wait.
        """
        ticket = Ticket(queue)

        # The queue shows progress in words, and the ticket pictures.
        def work(models: Models, notify: Notify) -> Path:
            def watch(event: Event) -> None:
                ticket.look(event)
                notify(event)

            return make(watch)

        # People know their files by other names, and the folder not at all.
        names = {} if self.folder is None else {f"{self.folder}/": ""}
        ticket.job_id = queue.submit(work, client=person, uploads=uploads, names=names)
        self._forget_over()
        self._tickets[person, place] = ticket
        return ticket

    def cancel(self, person: str, place: str) -> None:
        """Cancel the job of a tab, if there is one in progress."""
        ticket = self._tickets.get((person, place))
        if ticket is not None and not self._is_over(ticket):
            ticket.cancel()

    @property
    def open_jobs(self) -> int:
        """Jobs that wait or run."""
        return sum(not self._is_over(ticket) for ticket in self._tickets.values())

    def result(self, job_id: str) -> Path | None:
        """Return the result of a job by its id; None where there is none, or no more."""
        for queue in (self.clips, self.pictures):
            with suppress(UnknownJobError):
                return queue.result(job_id)
        return None

    def close(self) -> None:
        """Cancel all jobs, and wait for the threads."""
        self.clips.close()
        self.pictures.close()

    def _forget_over(self) -> None:
        # Each keeps a picture, and a page may be open for weeks.
        for key, ticket in list(self._tickets.items()):
            if self._is_over(ticket):
                del self._tickets[key]

    def _is_over(self, ticket: Ticket) -> bool:
        try:
            return ticket.queue.progress(ticket.job_id).state.is_over
        except UnknownJobError:
            return True
