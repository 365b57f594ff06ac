"""How long work tells what it is doing, and learns that it should stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["PartOfJob", "Reporter", "Silent", "WithTimeLeft", "duration"]

_LEAST_EVIDENCE = 5.0  # seconds
_LEAST_MEMORY = 30.0  # seconds


class Reporter(Protocol):
    """Receives the progress and the messages of a job."""

    def progress(self, fraction: float, text: str) -> None:
        """Tells how far the work is, from 0 to 1, and what it is at.

        Raises:
            CancelledError: where the user asked to stop; it ends the work.
        """
        ...

    def info(self, text: str) -> None:
        """Tells a fact worth a line in the log."""
        ...

    def warning(self, text: str) -> None:
        """Tells of something that may spoil the result."""
        ...


class PartOfJob:
    """Reports a part's progress from 0 to 1 as a share of the whole.

    Args:
        whole: hears of the whole.
        start: share of the whole that is done when the part starts.
        end: share of the whole that is done when the part ends.
    """

    def __init__(self, whole: Reporter, start: float, end: float) -> None:
        self._whole, self._start, self._end = whole, start, end
        self.info, self.warning = whole.info, whole.warning

    def progress(self, fraction: float, text: str) -> None:
        """Passes the progress on."""
        self._whole.progress(self._start + fraction * (self._end - self._start), text)


class WithTimeLeft:
    """Adds to what work is at how long it will take, by its pace of late: `tile 3 of 9, about 4 min left`.

    What happened counts the less the longer ago it was: by e for each third of the time that the work has taken.

    Args:
        whole: hears of the work.
        clock: tells the seconds.
    """

    def __init__(self, whole: Reporter, clock: Callable[[], float] = time.monotonic) -> None:
        self._whole, self._clock = whole, clock
        self.info, self.warning = whole.info, whole.warning
        self._started, self._last = 0.0, (0.0, 0.0)
        self._seconds = self._done = 0.0

    def progress(self, fraction: float, text: str) -> None:
        """Passes the progress on."""
        left = self._left(fraction)
        self._whole.progress(fraction, text if left is None else f"{text}, about {duration(left)} left")

    def _left(self, fraction: float) -> float | None:
        """Seconds until the end; None while too little is known."""
        now, (before, fraction_before) = self._clock(), self._last
        self._last = now, fraction
        # Preparations, and what an earlier run has done already, tell nothing of the pace.
        if not 0 < fraction_before <= fraction:
            self._started, self._seconds, self._done = now, 0.0, 0.0
            return None
        elapsed = now - self._started
        kept = math.exp((before - now) / max(_LEAST_MEMORY, elapsed / 3))
        self._seconds = kept * self._seconds + now - before
        self._done = kept * self._done + fraction - fraction_before
        if elapsed < _LEAST_EVIDENCE or self._done <= 0 or fraction >= 1:
            return None
        return (1 - fraction) * self._seconds / self._done


class Silent:
    """Reports nothing."""

    def progress(self, fraction: float, text: str) -> None:
        """Tells nobody."""

    def info(self, text: str) -> None:
        """Tells nobody."""

    def warning(self, text: str) -> None:
        """Tells nobody."""


def duration(seconds: float) -> str:
    """A time as people say it: `38 s`, `4 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    # To ten minutes, which is more than anybody can know beforehand.
    hours, tens = divmod(round(minutes / 10), 6)
    return f"{hours} h {tens}0 min" if tens else f"{hours} h"
