"""Programs that run beside QGIS: how they are started, listened to and ended."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from qgis.core import QgsProcessingFeedback
from qgis.PyQt.QtCore import QProcess, QProcessEnvironment

from .errors import Cancelled, PluginError
from .resources import tr
from .window import living_window

POLL_MS = 100
PATIENCE_MS = 3000
# QGIS's own settings of these would break another Python with a GDAL and a PROJ of its own.
# The user's settings of uv are meant for other projects.
_FOREIGN_VARIABLES = ("PYTHON", "PROJ", "GDAL", "LD_", "DYLD_", "UV_")
_LAST_WORDS = 15


class NotStarted(PluginError):
    """Raised when a program cannot be started; the text is the system's reason."""


class ProgramFailed(PluginError):
    """Raised when a program ends with an error; the text is the last that it said."""


class Lines:
    """Whole lines of a program's output, which comes in pieces; the last ones are kept."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self.last: list[str] = []
        self._hear = hear
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Take more, and hand on what is whole."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", errors="replace").rstrip()
            if text:
                self.last = [*self.last, text][-_LAST_WORDS:]
                self._hear(text)


@contextmanager
def running(
    command: Sequence[str], variables: Mapping[str, str] | None = None, errors_to: str | None = None
) -> Iterator[QProcess]:
    """Start a program without a shell and without what QGIS sets for its own libraries; leave nothing of it behind.

    Args:
        command: the program and its arguments.
        variables: environment variables beside those of QGIS.
        errors_to: file that takes the program's standard error; without it, it is mixed with its standard output.
    """
    process = QProcess()
    process.setProcessEnvironment(_environment(variables or {}))
    if errors_to is None:
        process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
    else:
        # A file cannot fill up and stop the program, as a pipe that nobody empties would.
        process.setStandardErrorFile(errors_to)
    process.start(command[0], list(command[1:]))
    if not process.waitForStarted():
        raise NotStarted(process.errorString())
    group = int(process.processId())
    try:
        yield process
    finally:
        _end(process, group)


def run_program(
    command: Sequence[str],
    feedback: QgsProcessingFeedback,
    hear: Callable[[str], None],
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run a program to its end, to the user's cancel, or on Linux to QGIS's; each line that it says is heard at once.

    Raises:
        NotStarted: if it cannot be started.
        ProgramFailed: if it ends with an error.
        Cancelled: if the user cancelled it; it has ended then.
    """
    if shutil.which(command[0]) is None:
        raise NotStarted(tr("it is no program that can be run"))
    lines = Lines(hear)
    program = running([*_ending_with_us(), *command], variables)
    with program as process, living_window(feedback) as let_the_window_live:
        process.closeWriteChannel()
        # Each wait lets go of Python's lock, so that QGIS's window lives.
        while process.state() == QProcess.ProcessState.Running:
            if feedback.isCanceled():
                raise Cancelled(tr("Cancelled."))
            process.waitForReadyRead(POLL_MS)
            lines.take(process.readAllStandardOutput().data())
            let_the_window_live()
        lines.take(process.readAllStandardOutput().data() + b"\n")
    if process.exitStatus() != QProcess.ExitStatus.NormalExit or process.exitCode() != 0:
        raise ProgramFailed("\n".join(lines.last) or tr("it left no message"))


def _ending_with_us() -> list[str]:
    """Return what to put before a program that the system shall end with this process, even if that is killed."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _environment(variables: Mapping[str, str]) -> QProcessEnvironment:
    inherited = QProcessEnvironment.systemEnvironment()
    cleaned = QProcessEnvironment(inherited)
    for name in inherited.keys():  # noqa: SIM118 -- it is no dictionary
        if name.upper().startswith(_FOREIGN_VARIABLES):
            cleaned.remove(name)
    for name, value in variables.items():
        cleaned.insert(name, value)
    return cleaned


def _end(process: QProcess, group: int) -> None:
    """End the program if it still runs, and on POSIX the processes of the group that it may have made."""
    if group > 0 and os.name == "posix":
        # No such group: the program has not made one, or all of it has ended.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    if process.state() != QProcess.ProcessState.NotRunning:
        process.kill()
        process.waitForFinished(PATIENCE_MS)
