"""Talking to the process that started the worker: JSON lines out, cancel in."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any, TextIO

from ..core.errors import CancelledError
from .ending import end_soon

__all__ = ["JsonReporter", "claim_stdout", "listen_for_cancel"]

_SECONDS_BETWEEN_FRACTIONS = 0.5
_SECONDS_BETWEEN_TEXTS = 5.0


def claim_stdout() -> TextIO:
    """Takes the real standard output for the protocol; whatever else is printed goes to standard error."""
    sys.stdout.flush()
    claimed = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return claimed


def listen_for_cancel() -> threading.Event:
    """Starts to listen on standard input; returns what is set when the work should stop.

    The line `cancel` asks for it, and so does the end of the input: whoever started the worker is gone. The process
    then ends within seconds, whatever it is doing; it takes somewhat longer to a checkpoint that it is writing.
    """
    stop = threading.Event()
    threading.Thread(target=_listen, args=(stop,), daemon=True).start()
    return stop


class JsonReporter:
    """Writes events as JSON lines, progress not more often than a person can follow.

    Args:
        stream: where to write.
        stop: set when the work should stop.
    """

    def __init__(self, stream: TextIO, stop: threading.Event) -> None:
        self._stream, self._stop = stream, stop
        self._last_fraction = self._last_text = -_SECONDS_BETWEEN_TEXTS

    def progress(self, fraction: float, text: str) -> None:
        """Tells how far the work is, unless that was told a moment ago."""
        if self._stop.is_set():
            raise CancelledError
        now = time.monotonic()
        if now - self._last_text >= _SECONDS_BETWEEN_TEXTS:
            self._last_text = self._last_fraction = now
            self.send("progress", fraction=round(fraction, 4), text=text)
        elif now - self._last_fraction >= _SECONDS_BETWEEN_FRACTIONS:
            self._last_fraction = now
            self.send("progress", fraction=round(fraction, 4))

    def info(self, text: str) -> None:
        """Tells a fact."""
        self.send("message", level="info", text=text)

    def warning(self, text: str) -> None:
        """Tells of something that may spoil the result."""
        self.send("message", level="warning", text=text)

    def send(self, event: str, **content: Any) -> None:  # noqa: ANN401 (JSON)
        """Writes one event."""
        self._stream.write(json.dumps({"event": event, **content}) + "\n")
        self._stream.flush()


def _listen(stop: threading.Event) -> None:
    for line in sys.stdin:
        if line.strip() == "cancel":
            break
    end_soon(stop)
