"""Has the worker process do a job, and passes on what it says while it does."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingFeedback, QgsProcessingUtils
from qgis.PyQt.QtCore import QProcess, QProcessEnvironment

from .environment import how_to_mend, worker_python
from .errors import PluginError
from .resources import tr

# This package is imported from the plugins' folder; put last, that hides no library of the worker's.
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import qgis_sslkd; sys.path.append(sys.path.pop(0)); "
    "from qgis_sslkd.worker.__main__ import main; main()"
)
# QGIS's own settings of these would break another Python with a GDAL and a PROJ of its own.
_FOREIGN_VARIABLES = ("PYTHON", "PROJ", "GDAL", "LD_", "DYLD_")
_POLL_MS = 100
_PATIENCE_MS = 3000
_LOG_TAIL_BYTES = 8192


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


def run_job(job: Mapping[str, Any], feedback: QgsProcessingFeedback) -> dict[str, Any]:
    """Have the worker do the job; return the outputs that it names."""
    job_file = QgsProcessingUtils.generateTempFilename("job.json")
    Path(job_file).write_text(json.dumps(job), encoding="utf-8")
    return run_worker(worker_command(worker_python(), job_file), feedback)


def worker_command(python: str, job_file: str) -> list[str]:
    """Return the program and the arguments that do the job in a process of its own."""
    # Not resolved: a plugin folder made of links is still the folder to import from.
    plugins_folder = str(Path(__file__).absolute().parents[1])
    return [python, "-I", "-c", _BOOT, plugins_folder, "job", job_file]


def worker_environment(variables: QProcessEnvironment) -> QProcessEnvironment:
    """Return the variables without those that QGIS sets for its own libraries."""
    cleaned = QProcessEnvironment(variables)
    for name in variables.keys():  # noqa: SIM118 -- it is no dictionary
        if name.upper().startswith(_FOREIGN_VARIABLES):
            cleaned.remove(name)
    return cleaned


def run_worker(command: Sequence[str], feedback: QgsProcessingFeedback) -> dict[str, Any]:
    """Run the worker to its end, or to the user's cancel; return the outputs that it names."""
    answer = _Answer(feedback)
    log = QgsProcessingUtils.generateTempFilename("worker.log")
    with _running(command, log) as process:
        asked_to_stop = _converse(process, answer, feedback)
    if answer.outputs is not None:
        return answer.outputs
    if answer.error is not None:
        raise JobFailed(answer.error)
    if asked_to_stop or answer.cancelled:
        raise JobCancelled(tr("Cancelled: nothing was written."))
    raise WorkerDied(_how_it_died(process, answer, log, feedback))


class _Answer:
    """What the worker has said so far; each event is passed on to QGIS as it comes."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self.outputs: dict[str, Any] | None = None
        self.error: str | None = None
        self.cancelled = False
        self.begun = False
        self._feedback = feedback
        self._rest = b""
        self._text = ""

    @property
    def final(self) -> bool:
        """Whether the worker has said how the job went."""
        return self.outputs is not None or self.error is not None or self.cancelled

    def hear(self, data: bytes) -> None:
        """Take more of the worker's output, whose lines may come in pieces."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._hear_line(line)

    def _hear_line(self, line: bytes) -> None:
        """Take one line: an event, or something that a library printed."""
        try:
            event = json.loads(line.decode("utf-8", errors="replace"))
        except ValueError:
            return
        if isinstance(event, dict):
            self._hear_event(event)

    def _hear_event(self, event: dict[str, Any]) -> None:
        kind, text = event.get("event"), str(event.get("text", ""))
        if kind == "progress":
            self._progress(event.get("fraction"), text)
        elif kind == "message":
            push = self._feedback.pushWarning if event.get("level") == "warning" else self._feedback.pushInfo
            push(text)
        elif kind == "result" and isinstance(event.get("outputs"), dict):
            self.outputs = event["outputs"]
        elif kind == "error":
            self.error = text
        elif kind == "cancelled":
            self.cancelled = True
        else:
            return
        self.begun = True

    def _progress(self, fraction: object, text: str) -> None:
        if isinstance(fraction, (int, float)):
            self._feedback.setProgress(100 * min(max(fraction, 0), 1))
        # QGIS adds each text to the log, so the same one is told once.
        if text and text != self._text:
            self._feedback.setProgressText(text)
            self._text = text


@contextmanager
def _running(command: Sequence[str], log: str) -> Iterator[QProcess]:
    """Start the worker; leave nothing of it behind."""
    process = QProcess()
    process.setProcessEnvironment(worker_environment(QProcessEnvironment.systemEnvironment()))
    # A file cannot fill up and stop the worker, as a pipe that nobody empties would.
    process.setStandardErrorFile(log)
    process.start(command[0], list(command[1:]))
    if not process.waitForStarted():
        raise WorkerNotStarted(
            tr("The worker's Python {} cannot be started ({}). {}").format(
                command[0], process.errorString(), how_to_mend()
            )
        )
    group = int(process.processId())
    try:
        yield process
    finally:
        _end(process, group)


def _converse(process: QProcess, answer: _Answer, feedback: QgsProcessingFeedback) -> bool:
    """Listen until the worker has answered or ended; return whether it was asked to stop."""
    asked_to_stop = False
    # Each wait lets go of Python's lock, so that QGIS's window lives.
    while process.state() == QProcess.ProcessState.Running and not answer.final:
        if feedback.isCanceled():
            process.write(b"cancel\n")
            asked_to_stop = True
            break
        process.waitForReadyRead(_POLL_MS)
        answer.hear(process.readAllStandardOutput().data())
    process.waitForFinished(_PATIENCE_MS)
    answer.hear(process.readAllStandardOutput().data())
    return asked_to_stop


def _end(process: QProcess, group: int) -> None:
    """End the worker if it still runs, and on POSIX the processes that it started."""
    if group > 0 and os.name == "posix":
        # No such group: the worker has not made one yet, or all of it has ended.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    if process.state() != QProcess.ProcessState.NotRunning:
        process.kill()
        process.waitForFinished(_PATIENCE_MS)


def _how_it_died(process: QProcess, answer: _Answer, log: str, feedback: QgsProcessingFeedback) -> str:
    """Return the sentence for a worker that ended without a word; its last words go to the log."""
    words = _last_words(log)
    feedback.pushDebugInfo(words)
    last_line = words.splitlines()[-1].strip() if words else tr("it left no message")
    sentence = tr("The worker ended unexpectedly (exit code {}): {}").format(process.exitCode(), last_line)
    # Ended before its first event, it may never have had the libraries it needs.
    return sentence if answer.begun else f"{sentence}\n{how_to_mend()}"


def _last_words(log: str) -> str:
    with Path(log).open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace").strip()
