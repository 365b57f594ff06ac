"""Shows what qgis_process says while it says it, without its headings, its list of parameters and its ticks."""

from __future__ import annotations

import codecs
import os
import re
import time
from collections.abc import Callable, Iterator

TICKS = "".join(f"{ten}..." for ten in range(0, 100, 10)) + "100 - done."
PARAMETER = re.compile(r"(?!ERROR:)[A-Z][A-Z0-9_]*:\t")
PAUSE = 10.0  # seconds
NOISE = ("QStandardPaths:", "----------------", "Inputs", "Results")


def relay(terminal: int, show: Callable[[str], None] = print) -> None:
    """Show what a program says, until its end, on the terminal (a file descriptor) that it was given.

    Each message comes with the time and the progress so far; one that only counts on comes now and then.
    """
    start = shown_at = time.monotonic()
    shown = ""
    messages = Messages()
    for text in _texts(terminal):
        for message in messages.read(text):
            now, kind = time.monotonic(), re.sub(r"[\d.]+", "#", message)
            if kind in ("", shown) and now - shown_at < PAUSE:
                continue
            shown, shown_at = kind, now
            minutes, seconds = divmod(int(now - start), 60)
            show(f"  {minutes:2d}:{seconds:02d} {messages.percent:4d} %  {message}".rstrip())


def _texts(terminal: int) -> Iterator[str]:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # so a terminal's end reads on Linux once the program is gone
            return
        if not chunk:
            return
        yield decode(chunk).replace("\r", "")


class Messages:
    """The messages in a text that arrives in pieces, among which qgis_process strews its ticks 0...10...20..."""

    def __init__(self) -> None:
        self._line = ""
        self._ticked = 0  # of the characters of TICKS

    @property
    def percent(self) -> int:
        """The last number that was ticked off."""
        numbers = re.findall(r"\d+(?=\.| )", TICKS[: self._ticked + 1])
        return int(numbers[-1]) if numbers else 0

    def read(self, text: str) -> list[str]:
        """The messages that are complete with this piece; "" says that nothing but the progress is new."""
        before = self.percent
        *complete, self._line = (self._line + text).split("\n")
        found = [message for message in map(self._without_ticks, complete) if _is_message(message)]
        self._line = self._without_ticks(self._line)
        return found or ([""] if self.percent > before else [])

    def _without_ticks(self, line: str) -> str:
        # Ticks come in one order only, so that "...90" followed by "0 outlines" is told apart.
        start = 0
        while start < len(line) and TICKS.startswith(line[start], self._ticked):
            start += 1
            self._ticked += 1
        return line[start:]


def _is_message(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(NOISE) and not PARAMETER.match(line)
