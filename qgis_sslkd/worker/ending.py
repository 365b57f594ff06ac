"""Ending before the work is done, and taking along what is not whole."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable

from ..core.files import remove_unfinished

__all__ = ["CANCELLED", "end_at_signals", "end_now"]

CANCELLED = 130
"""Exit code of a process that was asked to end."""


def end_now(say: Callable[[], object] | None = None) -> None:
    """Ends the process from a thread beside the work, which may be in a library that hears of nothing.

    Args:
        say: called at the very end.
    """
    try:
        remove_unfinished()
        if say:
            say()
    finally:
        os._exit(CANCELLED)


def end_at_signals(say: Callable[[], object] | None = None) -> None:
    """Has Ctrl+C, `kill`, a scheduler or a closed terminal end the process with what it began to write.

    No exception: one might come in the middle of tidying up, or of what several processes do together.

    Args:
        say: called at the very end.
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
    threading.Thread(target=_end_at, args=(ours, say), daemon=True).start()


def _end_at(signals: socket.socket, say: Callable[[], object] | None) -> None:
    signals.recv(1)
    end_now(say)
