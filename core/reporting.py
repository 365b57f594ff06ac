"""How long work tells what it is doing, and learns that it should stop."""

from __future__ import annotations

from typing import Protocol

__all__ = ["PartOfJob", "Reporter", "Silent"]


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


class Silent:
    """Reports nothing."""

    def progress(self, fraction: float, text: str) -> None:
        """Tells nobody."""

    def info(self, text: str) -> None:
        """Tells nobody."""

    def warning(self, text: str) -> None:
        """Tells nobody."""
