"""Figures of a server for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0, 5.0)
"""Bounds of the histogram of first frames; 0.6 is the target."""


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        # The library's own registry is global: two servers would share it.
        self.registry = CollectorRegistry()
        self.sessions = self._count("sessions", "Live sessions that have started")
        self.refused = self._count("sessions_refused", "Sessions without a free slot")
        self.vanished = self._count(
            "sessions_vanished", "Sessions whose client has closed or vanished"
        )
        self.frames = self._count("frames", "Frames that were sent")
        self.uploads_refused = self._count("uploads_refused", "Files not accepted")
        self.jobs = self._count("jobs", "Jobs that were submitted")
        self.first_frame = Histogram(
            "jaxportrait_first_frame_seconds",
            "Seconds from the sound that completes frames to the first of them",
            buckets=SECONDS,
            registry=self.registry,
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a figure that is read when it is asked for."""
        gauge = Gauge(f"jaxportrait_{name}", text, registry=self.registry)
        gauge.set_function(value)

    def _count(self, name: str, text: str) -> Counter:
        return Counter(f"jaxportrait_{name}", text, registry=self.registry)
