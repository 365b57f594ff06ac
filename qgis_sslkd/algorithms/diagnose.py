"""SSLKD diagnostics: what is here, what is wrong and what mends it."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
)
from qgis.PyQt.QtCore import QIODevice, QSaveFile

from ..diagnosis import as_page, as_text, diagnose
from ..errors import UnusableParameters
from ..resources import short_help, tr
from .base import Parameters, SslkdAlgorithm


class Diagnose(SslkdAlgorithm):
    """Reports on QGIS, the machine and the worker."""

    REPORT = "REPORT"
    TEXT = "TEXT"
    PROBLEMS = "PROBLEMS"

    def name(self) -> str:
        """Return the id; models and scripts depend on it."""
        return "diagnose"

    def displayName(self) -> str:
        """Return the name shown in the Toolbox."""
        return tr("SSLKD diagnostics")

    def group(self) -> str:
        """Return the group shown in the Toolbox."""
        return tr("Set-up")

    def groupId(self) -> str:
        """Return the group's id."""
        return "setup"

    def tags(self) -> list[str]:
        """Return the words that find it in the Toolbox."""
        return tr("diagnose,report,versions,gpu,cuda,driver,memory,environment,help").split(",")

    def shortDescription(self) -> str:
        """Return the tool tip."""
        return tr("Tells what is wrong with the environment of SSLKD, and what mends it")

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return short_help(
            self.name(),
            tr(
                "Looks at QGIS, the graphics driver, memory, disks and the worker's Python environment, "
                "and times a small network. Says what is wrong and what mends it.\n\n"
                "<b>Report</b>: a page for a browser. "
                "<b>Report as text</b>: to be sent along with a question; it names versions and folders, "
                "but no password. "
                "<b>Problems found</b>: their number."
            ),
        )

    def canExecute(self) -> tuple[bool, str]:
        """Tell that it can always be run: a broken environment is what it reports on."""
        return True, ""

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters and outputs."""
        for key, description, kind in (
            (self.REPORT, tr("Report"), tr("HTML files") + " (*.html)"),
            (self.TEXT, tr("Report as text"), tr("Text files") + " (*.txt)"),
        ):
            self.addParameter(QgsProcessingParameterFileDestination(key, description, fileFilter=kind))
        self.addOutput(QgsProcessingOutputNumber(self.PROBLEMS, tr("Problems found")))

    def take_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Take none: diagnostics know no layers."""

    def process(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Report what is found."""
        report, text = (self.parameterAsFileOutput(parameters, key, context) for key in (self.REPORT, self.TEXT))
        diagnosis = diagnose(feedback)
        for problem in diagnosis.problems:
            feedback.pushWarning(problem)
        feedback.pushInfo(as_text(diagnosis))
        _write(report, as_page(diagnosis))
        _write(text, as_text(diagnosis))
        return {self.REPORT: report, self.TEXT: text, self.PROBLEMS: len(diagnosis.problems)}


def _write(path: str, content: str) -> None:
    """Write a file that appears when it is whole."""
    file = QSaveFile(path)
    written = file.open(QIODevice.OpenModeFlag.WriteOnly) and file.write(content.encode()) >= 0 and file.commit()
    if not written:
        raise UnusableParameters(tr("{} cannot be written: {}").format(path, file.errorString()))
