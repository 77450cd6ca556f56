"""The panel of a result: progress, first frames, the clip, and its download."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from infer.job import JobState, Progress, explain
from infer.jobs import QueueFullError
from infer.web.desk import Ticket
from infer.web.pictures import data_address
from infer.web.words import as_labels
from jaxportrait.media.write import STILLS

Update = dict[Component, Any]
"""Component -> its new value."""
RESULTS = "result/"
"""Address of results, by the ids of their jobs, relative to the page."""
IDLE = '<p class="hint">Your result appears here.</p>'
WORDS = {
    JobState.QUEUED: "Waiting",
    JobState.RUNNING: "Working",
    JobState.DONE: "Done",
    JobState.CANCELLED: "Cancelled",
}
"""State of a job -> its word, where no stage is in progress."""


@dataclass
class Panel:
    """The components of a result.

    Attributes:
      status: progress, errors, a picture that was made.
      video: the clip.
      start: the button that starts a job.
      cancel: the button that ends it.
      name: name of a downloaded file, without its suffix.
    """

    status: gr.HTML
    video: gr.Video
    start: gr.Button
    cancel: gr.Button
    name: str

    @property
    def outputs(self) -> list[Component]:
        return [self.status, self.video, self.start, self.cancel]

    async def follow(self, submit: Callable[[], Ticket]) -> AsyncIterator[Update]:
        """Submit a job, and yield what the panel shows until it is over.

        Errors are shown, not raised.
        """
        try:
            ticket = submit()
        except QueueFullError as error:
            yield self.show_error(str(error))
            return
        except Exception as error:
            # The log has a defect's traceback; a person gets a line.
            yield self.show_error(explain(error))
            return
        # A job that is refused has no ticket; one that fails says why at its end.
        async for progress in ticket.watch():
            yield self.show(progress, ticket)

    def show(self, progress: Progress, ticket: Ticket) -> Update:
        """Return the panel of a job at a moment."""
        result = ticket.result()
        if progress.state == JobState.FAILED:
            return self.show_error(progress.error)
        if progress.state == JobState.DONE and result is not None:
            return self._update(
                self._done(progress, ticket, result), result, is_over=True
            )
        if progress.state.is_over:
            line = f'<p role="status">{WORDS[JobState.CANCELLED]}</p>'
            return self._update(line, None, is_over=True)
        return self._update(progress_page(progress, ticket.picture), None)

    def show_error(self, message: str) -> Update:
        """Return the panel of a job that has failed."""
        return self._update(error_page(message), None, is_over=True)

    def _done(self, progress: Progress, ticket: Ticket, result: Path) -> str:
        address = f"{RESULTS}{ticket.job_id}"
        parts = []
        if is_still(result):
            parts.append(f'<img class="result" src="{address}" alt="The result">')
        # The name of a download is ours, not that of the random path.
        name = self.name + result.suffix
        size = result.stat().st_size / 1e6
        parts.append(
            f'<a class="download" href="{address}" download="{name}">Download {result.suffix[1:]} ({size:.1f} MB)</a>'
        )
        parts.append(remarks_page(progress))
        return "".join(parts)

    def _update(
        self, page: str, result: Path | None, *, is_over: bool = False
    ) -> Update:
        # A result that is a picture is within the status.
        shows_video = result is not None and not is_still(result)
        clip = str(result) if shows_video else None
        return {
            self.status: gr.update(value=page),
            self.video: gr.update(value=clip, visible=shows_video),
            self.start: gr.update(interactive=is_over),
            self.cancel: gr.update(visible=not is_over),
        }


def make_panel(name: str, label: str, idle: str = IDLE) -> Panel:
    """Place a panel at the current place of the page.

    Args:
      name: name of a downloaded file, without its suffix.
      label: words on the button.
      idle: status before the first job.
    """
    # The two buttons lie above the result, where they stay in sight.
    with gr.Row(elem_classes="actions"):
        start = gr.Button(
            label, variant="primary", scale=3, min_width=160, elem_id=f"{name}-start"
        )
        cancel = gr.Button(
            "Cancel",
            variant="stop",
            visible=False,
            min_width=90,
            elem_id=f"{name}-cancel",
        )
    video = gr.Video(
        label="Result",
        interactive=False,
        visible=False,
        autoplay=True,
        buttons=[],
        elem_id=f"{name}-clip",
    )
    status = gr.HTML(
        idle, elem_classes="status", padding=False, elem_id=f"{name}-status"
    )
    return Panel(status, video, start, cancel, name)


def is_still(path: Path) -> bool:
    return path.suffix in STILLS


def error_page(message: str) -> str:
    """Return an error in words."""
    text = escape(capital(as_labels(message)))
    return f'<p class="failure" role="alert">{text}</p>'


def progress_page(progress: Progress, picture: bytes) -> str:
    """Return the progress of a job: a line, a bar, and the latest frame."""
    share = progress.done / progress.total if progress.total else 0.0
    # A bar without a value moves to and fro.
    value = f'value="{share:.3f}"' if progress.total else ""
    line = escape(progress_line(progress))
    parts = [f'<p role="status">{line}</p>']
    parts.append(f'<progress max="1" {value} aria-label="Progress"></progress>')
    if picture:
        address = data_address(picture)
        parts.append(f'<img class="result" src="{address}" alt="The latest frame">')
    parts.append(remarks_page(progress))
    return "".join(parts)


def progress_line(progress: Progress) -> str:
    """Return the state of a job in a line, with the time left where it is known."""
    # Nothing is ahead of the next in turn.
    if progress.state == JobState.QUEUED and progress.ahead:
        plural = "s" * (progress.ahead > 1)
        return f"Waiting: {progress.ahead} job{plural} ahead"
    stage = progress.stage or WORDS[progress.state]
    line = capital(stage)
    if progress.total:
        line += f": frame {progress.done} of {progress.total}"
    if progress.seconds_left is not None:
        line += f", {time_words(progress.seconds_left)} left"
    return line


def capital(line: str) -> str:
    """Return a line with a capital at its start; the other letters stay."""
    return line[:1].upper() + line[1:]


def time_words(seconds: float) -> str:
    """Return a time as `2 min 5 s`."""
    # Whole seconds: the rate is an estimate.
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def remarks_page(progress: Progress) -> str:
    """Return the warnings and notes of a job, each once."""
    lines = dict.fromkeys(capital(as_labels(line)) for line in progress.remarks)
    # Words of files and people are no markup.
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="remarks">{items}</ul>' if items else ""
