"""Ctrl-C that is not lost."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def remember_interrupts() -> Iterator[Callable[[], None]]:
    """Yield a function that raises a KeyboardInterrupt if Ctrl-C has been pressed.

    Ctrl-C raises one at once as well. Where that happens in a callback (JAX has one in
    the garbage collector), Python prints and forgets it; so a program calls the
    function now and then.
    """
    pressed = threading.Event()
    handler = signal.getsignal(signal.SIGINT)
    unraisable_hook = sys.unraisablehook

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    def interrupt(*_) -> None:
        pressed.set()
        raise KeyboardInterrupt

    def report(unraisable: "sys.UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            unraisable_hook(unraisable)

    # only the main thread may set handlers, and a program's own handler stays
    is_main = threading.current_thread() is threading.main_thread()
    if handler is not signal.default_int_handler or not is_main:
        yield check
        return
    signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = report
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, handler)
        sys.unraisablehook = unraisable_hook
