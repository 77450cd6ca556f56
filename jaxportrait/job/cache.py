"""The animator and the portraits of past jobs, for the next ones."""

from collections.abc import Callable, Hashable
from typing import TypeVar

from jaxportrait.animator import Animator
from jaxportrait.checkpoint import Checkpoint
from jaxportrait.job.portraits import PortraitCache, file_key
from jaxportrait.job.request import Networks, PictureRequest

T = TypeVar("T")
MOST_PORTRAITS = 8


class JobCache:
    """Keeps the latest animator, and the portraits that it has prepared last.

    For one thread.
    """

    def __init__(self) -> None:
        self._networks: Networks | None = None
        self._animator: Animator | None = None
        self._portraits = PortraitCache(MOST_PORTRAITS)
        self._preparer: Animator | None = None

    def animator(
        self, networks: Networks, checkpoint: Checkpoint | None, *, uses_driver: bool
    ) -> Animator:
        """Return the animator of networks, loaded unless it is the latest; see
        `Networks.load`."""
        if networks == self._networks and self._animator is not None:
            has_driver = self._animator.driver is not None
            if has_driver or not uses_driver:
                return self._animator
        # The memory of the old one is needed for the new one.
        self._forget()
        animator = networks.load(checkpoint, uses_driver=uses_driver)
        self._networks = networks
        self._animator = animator
        return animator

    def portrait(
        self,
        animator: Animator,
        request: PictureRequest,
        prepare: Callable[[], T],
        *,
        kind: str = "",
    ) -> T:
        """Return what an animator prepares of a source, prepared unless it is among the
        latest.

        Args:
          request: names the source and its face.
          prepare: prepares it.
          kind: tells apart what is prepared differently of the same face.
        """
        if animator is not self._preparer:
            self._portraits = PortraitCache(MOST_PORTRAITS)
            self._preparer = animator
        return self._portraits.find(source_key(request, kind), prepare)

    def _forget(self) -> None:
        self._networks = None
        self._animator = None
        self._preparer = None
        self._portraits = PortraitCache(MOST_PORTRAITS)


def source_key(request: PictureRequest, kind: str) -> Hashable:
    """Return a key that is the same for the same face of an unchanged file."""
    # A video is read again, at the place where it was found.
    place = request.source.resolve()
    options = (request.max_size, request.face, request.box)
    return (place, file_key(place), options, kind)
