"""Signals that ask a program to end: Ctrl-C, SIGTERM and SIGHUP.

A thread of its own receives them, so that a program ends at once while its main thread
computes in native code. Nothing is raised in the main thread: JAX crashes if that
happens within a compilation. What is unfinished is removed, and the program ends by the
signal itself, so that shells and service managers see why it ended.
"""

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from jaxportrait.whole import abandon_all

WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
"""Signal -> its word in the line about the end."""
SIGNALS = {name: getattr(signal, name) for name in WORDS if hasattr(signal, name)}
MOST_SECONDS = 5.0
"""Limit of the time between a signal and the end of the program."""
SHOW_CURSOR = "\x1b[?25h"
STDOUT, STDERR = 1, 2
DEFAULT_ACTION = None  # SIG_DFL of <signal.h>
SHELL_STATUS = 128  # plus the signal's number, where a process cannot end by a signal

_is_ending = threading.Event()
_caught: set[int] = set()
"""Signals that do not have their default action any more."""


def _note(*_: object) -> None:
    """Do nothing: Python tells the thread by its socket."""


@contextmanager
def receive_signals(
    receive: Callable[[int], object], note: Callable[..., object] = _note
) -> Iterator[None]:
    """Call `receive` with the number of every signal that comes during the block.

    The call is made in another thread. A signal that is ignored stays ignored. Outside
    of the main thread, where Python sets no handlers, nothing changes.

    Args:
      receive: called with the number.
      note: called as a handler, in the main thread, as soon as that is possible; it
        must not raise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    arguments = (reader, receive)
    threading.Thread(target=_forward, args=arguments, daemon=True).start()
    outer_writer = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    handlers = {}
    for number in SIGNALS.values():
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            handlers[number] = signal.signal(number, note)
    outer_caught = set(_caught)
    _caught.update(handlers)
    try:
        yield
    finally:
        _caught.intersection_update(outer_caught)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(outer_writer)
        # The thread ends when its socket has no writer.
        writer.close()


def end(number: int, remark: str = "") -> NoReturn:
    """Remove what is unfinished, print a line, and end this process by a signal.

    Any thread may call it.

    Args:
      number: number of the signal.
      remark: end of the line.
    """
    _is_ending.set()
    # A second signal ends the process at once, and a stuck thread delays it little.
    for other in _caught:
        _set_default_action(other)
    timer = threading.Timer(MOST_SECONDS, end_by, (number,))
    timer.daemon = True
    timer.start()
    facts = [f"{path} was not written" for path in abandon_all()]
    if remark:
        facts.append(remark)
    tell(number, "; ".join(facts))
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    end_by(number)


def end_by(number: int) -> NoReturn:
    """End this process by a signal, from any thread; nothing else of it runs."""
    if os.name == "posix":
        _set_default_action(number)
        os.kill(os.getpid(), number)
        time.sleep(1)  # the process ends meanwhile
    # Windows, or the first process of a container, which signals do not end.
    os._exit(SHELL_STATUS + number)


def wait_if_ending() -> None:
    """Wait for the end of this process, if another thread is ending it.

    An error is not to be reported then: files may just have been removed.
    """
    if _is_ending.is_set():
        threading.Event().wait()


def _forward(reader: socket.socket, receive: Callable[[int], object]) -> None:
    with reader:
        # A byte a signal, also of signals that others handle.
        while data := reader.recv(1):
            if data[0] in SIGNALS.values():
                receive(data[0])


def _set_default_action(number: int) -> None:
    # Python's own function works only in the main thread.
    if os.name == "posix":
        ctypes.CDLL(None).signal(number, DEFAULT_ACTION)


def tell(number: int, facts: str) -> None:
    """Print a line about a signal on stderr.

    Python's streams are not used, since the main thread may hold their locks.
    """
    word = WORDS[signal.Signals(number).name]
    text = f"{word}: {facts}\n" if facts else f"{word}\n"
    for descriptor in (STDOUT, STDERR):
        if os.isatty(descriptor):
            # A progress bar hides it.
            os.write(descriptor, SHOW_CURSOR.encode())
    if os.isatty(STDERR):
        text = f"\n{text}"
    with suppress(OSError):
        os.write(STDERR, text.encode(errors="backslashreplace"))
