"""Has the worker process do a job, and passes on what it says while it does."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingFeedback, QgsProcessingUtils
from qgis.PyQt.QtCore import QProcess

from .environment import how_to_mend, worker_python
from .errors import PluginError
from .processes import PATIENCE_MS, POLL_MS, Lines, NotStarted, running
from .resources import tr
from .window import living_window

# This package is imported from the plugins' folder; put last, that hides no library of the worker's.
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import qgis_sslkd; sys.path.append(sys.path.pop(0)); "
    "from qgis_sslkd.worker.__main__ import main; main()"
)
_TAIL_BYTES = 8192
_PAUSE_SECONDS = 0.05
_FAREWELL_SECONDS = 30.0  # the worker ends within 3, or 26 with a checkpoint to write; removing takes a while
_MOST_LINES = 50  # in a pause; nobody reads more, and QGIS's window would be busy with them


class WorkerError(PluginError):
    """Raised when the worker has not done its job."""


class WorkerNotStarted(WorkerError):
    """Raised when the worker's Python cannot be started."""


class JobFailed(WorkerError):
    """Raised when the worker says why it cannot do the job."""


class JobCancelled(WorkerError):
    """Raised when the job was cancelled."""


class WorkerDied(WorkerError):
    """Raised when the worker ends without saying how the job went."""


def run_job(job: Mapping[str, Any], feedback: QgsProcessingFeedback, python: str | None = None) -> dict[str, Any]:
    """Have the worker, or another Python in its place, do the job; return the outputs that it names."""
    job_file = QgsProcessingUtils.generateTempFilename("job.json")
    Path(job_file).write_text(json.dumps(job), encoding="utf-8")
    return run_worker(worker_command(python or worker_python(), job_file), feedback)


def worker_command(python: str, job_file: str) -> list[str]:
    """Return the program and the arguments that do the job in a process of its own."""
    # Not resolved: a plugin folder made of links is still the folder to import from.
    plugins_folder = str(Path(__file__).absolute().parents[1])
    # In UTF-8, as its last words are read; Windows would have them in its code page.
    return [python, "-I", "-X", "utf8", "-c", _BOOT, plugins_folder, "job", job_file]


def run_worker(command: Sequence[str], feedback: QgsProcessingFeedback) -> dict[str, Any]:
    """Run the worker to its end, or to the user's cancel; return the outputs that it names."""
    answer = _Answer(feedback)
    log = QgsProcessingUtils.generateTempFilename("worker.log")
    try:
        with running(command, errors_to=log) as process, living_window(feedback) as let_it_live:
            asked_to_stop = _converse(process, answer, feedback, let_it_live)
    except NotStarted as reason:
        raise WorkerNotStarted(
            tr("The worker's Python {} cannot be started ({}). {}").format(command[0], reason, how_to_mend())
        ) from reason
    if answer.outputs is not None:
        if feedback.isCanceled():
            # QGIS goes on to say that it failed.
            feedback.pushWarning(tr("Cancelled too late: all was done by then, and the results are written."))
        return answer.outputs
    # What fails once it was asked to stop may do so for that.
    if asked_to_stop or answer.cancelled:
        raise JobCancelled(tr("Cancelled: what was not whole was removed."))
    if answer.error is not None:
        raise JobFailed(answer.error)
    raise WorkerDied(_how_it_died(process, answer, log, feedback))


class _Answer:
    """What the worker has said so far; it is passed on to QGIS by and by."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self.outputs: dict[str, Any] | None = None
        self.error: str | None = None
        self.cancelled = False
        self._events = 0
        self._feedback = feedback
        self._lines = Lines(self._hear_line)
        self._text = ""
        self._fraction: float | None = None
        self._untold: defaultdict[Callable[[str], None], list[str]] = defaultdict(list)

    @property
    def final(self) -> bool:
        """Whether the worker has said how the job went."""
        return self.outputs is not None or self.error is not None or self.cancelled

    @property
    def begun(self) -> bool:
        """Whether the worker had its libraries: it loads them after its first word."""
        return self._events > 1

    def hear(self, data: bytes) -> None:
        """Take more of the worker's output."""
        self._lines.take(data)

    def pass_on(self) -> None:
        """Tell QGIS what was heard since the last time, in few words: each costs its window some time."""
        if self._fraction is not None:
            self._feedback.setProgress(100 * min(max(self._fraction, 0), 1))
        for tell, texts in self._untold.items():
            left_out = [tr("({} more lines)").format(len(texts) - _MOST_LINES)] if len(texts) > _MOST_LINES else []
            tell("\n".join([*texts[:_MOST_LINES], *left_out]))
        self._fraction = None
        self._untold.clear()

    def _hear_line(self, line: str) -> None:
        """Take one line: an event, or something that a library printed."""
        try:
            event = json.loads(line)
        except ValueError:
            return
        if isinstance(event, dict):
            self._hear_event(event)

    def _hear_event(self, event: dict[str, Any]) -> None:
        kind, text = event.get("event"), str(event.get("text", ""))
        if kind == "progress":
            self._progress(event.get("fraction"), text)
        elif kind == "message":
            warns = event.get("level") == "warning"
            self._untold[self._feedback.pushWarning if warns else self._feedback.pushInfo].append(text)
        elif kind == "result" and isinstance(event.get("outputs"), dict):
            self.outputs = event["outputs"]
        elif kind == "error":
            self.error = text
        elif kind == "cancelled":
            self.cancelled = True
        else:
            return
        self._events += 1

    def _progress(self, fraction: object, text: str) -> None:
        if isinstance(fraction, (int, float)):
            self._fraction = fraction
        # QGIS adds each text to the log, so the same one is told once.
        if text and text != self._text:
            self._untold[self._feedback.setProgressText].append(text)
            self._text = text


def _converse(
    process: QProcess, answer: _Answer, feedback: QgsProcessingFeedback, let_the_window_live: Callable[[], None]
) -> bool:
    """Listen until the worker has answered or ended; return whether it was asked to stop."""
    asked_to_stop = False
    # Each wait lets go of Python's lock, so that QGIS's window lives.
    while process.state() == QProcess.ProcessState.Running and not answer.final:
        if feedback.isCanceled():
            process.write(b"cancel\n")
            asked_to_stop = True
            break
        process.waitForReadyRead(POLL_MS)
        answer.hear(process.readAllStandardOutput().data())
        answer.pass_on()
        let_the_window_live()
        # A worker that talks without end then waits for us, and not the window.
        time.sleep(_PAUSE_SECONDS)
    answer.hear(_farewell(process) if asked_to_stop else _rest(process))
    answer.pass_on()
    return asked_to_stop


def _rest(process: QProcess) -> bytes:
    """Return what a worker says until it has ended."""
    process.waitForFinished(PATIENCE_MS)
    return process.readAllStandardOutput().data()


def _farewell(process: QProcess) -> bytes:
    """Return the last words of a worker that was asked to stop; what one talks on that does not is too much to keep."""
    words, end = b"", time.monotonic() + _FAREWELL_SECONDS
    while process.state() == QProcess.ProcessState.Running and time.monotonic() < end:
        process.waitForFinished(POLL_MS)
        words = process.readAllStandardOutput().data()[-_TAIL_BYTES:] or words
    return (words + process.readAllStandardOutput().data())[-_TAIL_BYTES:]


def _how_it_died(process: QProcess, answer: _Answer, log: str, feedback: QgsProcessingFeedback) -> str:
    """Return the sentence for a worker that ended without a word; its last words go to the log."""
    words = _last_words(log)
    feedback.pushDebugInfo(words)
    if _was_killed(process):
        return tr(
            "The system has ended the worker, as it does where memory runs out: "
            "close other programs, or choose smaller tiles and fewer at a time."
        )
    last_line = words.splitlines()[-1].strip() if words else tr("it left no message")
    sentence = tr("The worker ended unexpectedly (exit code {}): {}").format(process.exitCode(), last_line)
    return sentence if answer.begun else f"{sentence}\n{how_to_mend()}"


def _was_killed(process: QProcess) -> bool:
    crashed = process.exitStatus() == QProcess.ExitStatus.CrashExit
    return crashed and os.name == "posix" and process.exitCode() == signal.SIGKILL


def _last_words(log: str) -> str:
    with Path(log).open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace").strip()
