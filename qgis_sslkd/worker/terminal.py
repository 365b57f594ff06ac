"""Telling a person at a terminal how the work goes."""

from __future__ import annotations

import threading

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ..core.errors import CancelledError

__all__ = ["TerminalReporter"]


class TerminalReporter:
    """A progress bar, with messages above it.

    Args:
        console: where to write; without a terminal only the messages are written.
        stop: set when the work should stop.
    """

    def __init__(self, console: Console, stop: threading.Event) -> None:
        self._console, self._stop = console, stop
        self._progress = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=1.0)

    def __enter__(self) -> TerminalReporter:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leaves the terminal as it was."""
        self._progress.stop()

    def progress(self, fraction: float, text: str) -> None:
        """Moves the bar."""
        if self._stop.is_set():
            raise CancelledError
        self._progress.update(self._task, completed=fraction, description=text)

    def info(self, text: str) -> None:
        """Writes a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        """Writes a line that stands out."""
        self._console.print(f"Warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)
