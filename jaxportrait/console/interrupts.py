"""Ctrl-C that is not lost."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def remember_interrupts() -> Iterator[Callable[[], None]]:
    """Gives what raises a KeyboardInterrupt if Ctrl-C has been pressed; call it now and
    then.

    Ctrl-C raises one at once as well, but where that happens in a callback (JAX has one
    of the garbage collector), Python forgets it, and would print where it was.
    """
    asked = threading.Event()

    def interrupt(*_) -> None:
        asked.set()
        raise KeyboardInterrupt

    def check() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    def report(unraisable: "sys.UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            reported(unraisable)

    reported = sys.unraisablehook
    before = signal.getsignal(signal.SIGINT)
    if (
        before is not signal.default_int_handler
        or threading.current_thread() is not threading.main_thread()
    ):
        yield check
        return
    signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = report
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = reported
