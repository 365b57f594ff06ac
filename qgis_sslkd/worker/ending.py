"""Ending before the work is done, and taking along what is not whole."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from ..core.files import await_writing, remove_unfinished

__all__ = ["CANCELLED", "end_at_signals", "end_soon"]

CANCELLED = 130
"""Exit code of a process that was asked to end."""

_GRACE_SECONDS = 3.0
_WRITING_SECONDS = 20.0  # more, for the checkpoint that the work may be writing before it stops


def end_soon(stop: threading.Event) -> None:
    """Asks the work to stop, from a thread beside it, and ends the process if it does not within seconds.

    Args:
        stop: is set; the work looks at it now and then.
    """
    stop.set()
    time.sleep(_GRACE_SECONDS)
    _await_writing()
    _end_now()


def end_at_signals(stop: threading.Event, say: Callable[[], object] | None = None) -> None:
    """Has Ctrl+C, `kill`, a scheduler or a closed terminal end the process with what it began to write.

    The work is asked to stop, and the process ended if it does not within seconds, or at a second signal. No
    exception: one might come in the middle of tidying up.

    Args:
        stop: is set; the work looks at it now and then.
        say: called at the very end, where the work does not stop by itself.
    """
    # Not every system has each; `nohup` ignores the last, and Windows's closed terminals send the one before.
    for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, lambda *_: None)
    # Python's handlers wait for the library to return; what is written to the socket is heard at once.
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_end_at, args=(ours, stop, say), daemon=True).start()


def _end_at(signals: socket.socket, stop: threading.Event, say: Callable[[], object] | None) -> None:
    signals.recv(1)
    # Processes that `torchrun` started would each stop at another step, and wait for one another there.
    if "RANK" not in os.environ:
        stop.set()
        signals.settimeout(_GRACE_SECONDS)
        try:
            signals.recv(1)
        except TimeoutError:
            _await_writing()
    _end_now(say)


def _await_writing() -> None:
    """Lets a checkpoint become whole; the work then stops by itself."""
    if await_writing(_WRITING_SECONDS):
        time.sleep(_GRACE_SECONDS)


def _end_now(say: Callable[[], object] | None = None) -> None:
    """Ends the process though the work may be in a library that hears of nothing."""
    try:
        remove_unfinished()
        if say:
            say()
    finally:
        os._exit(CANCELLED)
