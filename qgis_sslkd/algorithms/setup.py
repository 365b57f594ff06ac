"""Set up SSLKD: the worker's Python environment, made, mended, chosen or removed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingMultiStepFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
    QgsSettings,
)

from ..client import JobCancelled, WorkerError, run_job
from ..environment import SETTING, VARIABLE, home, worker_python
from ..errors import UnusableParameters
from ..installer import TORCH_CHOICES, Plan, SetUpFailed, forget_fetched, install, is_current, remove
from ..managed import LOCK, TOOLS_LOCK, python_of
from ..resources import short_help, tr
from .base import Parameters, SslkdAlgorithm, named_choice

INSTALL, REPAIR, USE, REMOVE = ACTIONS = ["install", "repair", "use", "remove"]
_STEPS = 10


class SetUp(SslkdAlgorithm):
    """Makes the Python environment that the other algorithms work in."""

    ACTION = "ACTION"
    TORCH = "TORCH"
    WHEELS = "WHEELS"
    PYTHON = "PYTHON"
    WORKER = "WORKER"

    def name(self) -> str:
        """Return the id; models and scripts depend on it."""
        return "setup"

    def displayName(self) -> str:
        """Return the name shown in the Toolbox."""
        return tr("Set up SSLKD")

    def group(self) -> str:
        """Return the group shown in the Toolbox."""
        return tr("Set-up")

    def groupId(self) -> str:
        """Return the group's id."""
        return "setup"

    def tags(self) -> list[str]:
        """Return the words that find it in the Toolbox."""
        return tr("install,environment,python,dependencies,pytorch,cuda,gpu,repair,remove").split(",")

    def shortDescription(self) -> str:
        """Return the tool tip."""
        return tr("Installs what the other algorithms need, apart from QGIS")

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return short_help(
            self.name(),
            tr(
                "Installs what the other algorithms of SSLKD need: a Python environment of its own with PyTorch, "
                "in your QGIS profile. QGIS's own Python stays as it is. "
                "It fetches some 200 MB to 3 GB and takes some 2 to 6 GB on the disk.\n\n"
                "<b>Action</b>: <i>install</i> makes the environment, or renews it for another version of the plugin; "
                "<i>repair</i> fetches and makes all anew; "
                "<i>use</i> takes a Python of yours; <i>remove</i> removes all that was installed.\n"
                "<b>PyTorch</b>: <i>auto</i> chooses for this machine, with CUDA where there is an NVIDIA GPU; "
                "<i>lock</i> takes the builds that SSLKD was made with, each file checked; "
                "<i>driver</i> takes those for the installed graphics driver, from PyTorch's own site.\n"
                "<b>Folder of wheels</b>: installs from files in place of the network. On a machine of the same kind, "
                "with a network, fill it by <i>pip download --require-hashes -d FOLDER -r worker.txt -r tools.txt</i>; "
                "the two lists are in the plugin's folder <i>requirements</i>.\n"
                "<b>Python to use</b>: for <i>use</i>, one that has the packages of <i>requirements/worker.txt</i>.\n\n"
                "<b>The worker's Python</b>: the program that the other algorithms start from now on.\n\n"
                "The proxy of QGIS's settings is used. Cancelling, or a failure, leaves what was there before."
            ),
        )

    def canExecute(self) -> tuple[bool, str]:
        """Tell that it can always be run: it is what mends the others."""
        return True, ""

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters and outputs."""
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.addParameter(named_choice(self.ACTION, tr("Action"), ACTIONS))
        self.addParameter(named_choice(self.TORCH, tr("PyTorch"), TORCH_CHOICES))
        self.add_advanced(
            QgsProcessingParameterFile(self.WHEELS, tr("Folder of wheels"), behavior=folder, optional=True)
        )
        # QGIS's own filter, *.*, refuses names without a dot.
        every = tr("All files") + " (*)"
        self.add_advanced(QgsProcessingParameterFile(self.PYTHON, tr("Python to use"), optional=True, fileFilter=every))
        self.addOutput(QgsProcessingOutputString(self.WORKER, tr("The worker's Python")))

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise UnusableParameters if the parameters make no sense together."""
        python = self.parameterAsFile(parameters, self.PYTHON, context)
        uses = self.parameterAsEnumString(parameters, self.ACTION, context) == USE
        if uses != bool(python):
            raise UnusableParameters(tr("“Python to use” and the action “use” go together: choose both or neither."))
        wheels = self.parameterAsFile(parameters, self.WHEELS, context)
        if wheels and not Path(wheels).is_dir():
            raise UnusableParameters(tr("There is no folder {}.").format(wheels))
        if wheels and self.parameterAsEnumString(parameters, self.TORCH, context) == "driver":
            raise UnusableParameters(
                tr("PyTorch “driver” comes from the network: choose “lock” with a folder of wheels.")
            )

    def take_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Take none: set-up knows no layers."""

    def process(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Do what was chosen; return the Python that the worker has from now on."""
        action = self.parameterAsEnumString(parameters, self.ACTION, context)
        if action == USE:
            _use(self.parameterAsFile(parameters, self.PYTHON, context), feedback)
        elif action == REMOVE:
            remove(home())
            QgsSettings().remove(SETTING)
            return {self.WORKER: ""}
        else:
            _install(self._plan(parameters, context), action == REPAIR, feedback)
        if os.environ.get(VARIABLE):
            feedback.pushWarning(tr("The variable {} is set: the Python that it names goes first.").format(VARIABLE))
        return {self.WORKER: worker_python()}

    def _plan(self, parameters: Parameters, context: QgsProcessingContext) -> Plan:
        wheels = self.parameterAsFile(parameters, self.WHEELS, context)
        torch = self.parameterAsEnumString(parameters, self.TORCH, context)
        return Plan(home(), LOCK, TOOLS_LOCK, torch, Path(wheels) if wheels else None)


def _use(python: str, feedback: QgsProcessingFeedback) -> None:
    """Point the setting at a Python that works."""
    _check(python, feedback)
    QgsSettings().setValue(SETTING, python)


def _install(plan: Plan, anew: bool, feedback: QgsProcessingFeedback) -> None:
    """Make the environment unless it is there, and have it used."""
    if anew:
        forget_fetched(plan.home)
    if anew or not is_current(plan):
        install(plan, lambda python: _check(python, _last_step(feedback)), feedback)
    else:
        feedback.pushInfo(tr("The environment is there already; “repair” makes it anew."))
        _check_again(str(python_of(plan.home.environment)), feedback)
    QgsSettings().remove(SETTING)


def _check_again(python: str, feedback: QgsProcessingFeedback) -> None:
    """Check a Python that did work once."""
    try:
        _check(python, feedback)
    except JobCancelled:
        raise
    except WorkerError as reason:
        raise SetUpFailed(
            tr("The environment is there but does not work: the action “repair” makes it anew.") + f"\n{reason}"
        ) from reason


def _check(python: str, feedback: QgsProcessingFeedback) -> None:
    """Have the worker run a network in a Python."""
    feedback.setProgressText(tr("Checking that the environment works"))
    facts = run_job({"kind": "diagnose"}, feedback, python)
    feedback.pushInfo(tr("It works: {device}, {forward_pass}.").format(**facts))


def _last_step(feedback: QgsProcessingFeedback) -> QgsProcessingFeedback:
    """Return what shows progress from 0 to 100 as the last tenth."""
    last = QgsProcessingMultiStepFeedback(_STEPS, feedback)
    last.setCurrentStep(_STEPS - 1)
    return last
