"""QGIS's window while a program is waited for in its own thread, as QGIS 3.22 does with models, batches and scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qgis.core import QgsApplication, QgsProcessingFeedback, QgsTask
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QThread

from .resources import tr


@contextmanager
def living_window(feedback: QgsProcessingFeedback) -> Iterator[Callable[[], None]]:
    """Yield what has the window drawn and its buttons heard, to be called now and then; idle in any other thread.

    Meanwhile QGIS has a task to cancel: it asks for that where it is to be closed, and the batch dialog may be gone.
    """
    if QThread.currentThread() != QCoreApplication.instance().thread():
        yield lambda: None
        return
    task = QgsTask.fromFunction(tr("SSLKD worker"), lambda _: None, flags=QgsTask.Flag.CanCancel)
    # It stands in the list and takes none of the few threads that QGIS has for tasks.
    task.hold()
    task.taskTerminated.connect(feedback.cancel)
    QgsApplication.taskManager().addTask(task)
    try:
        yield QCoreApplication.processEvents
    finally:
        # QGIS deletes one that was cancelled.
        if not sip.isdeleted(task):
            task.taskTerminated.disconnect(feedback.cancel)
            task.cancel()
