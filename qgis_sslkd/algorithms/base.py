"""What the algorithms share."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
)
from qgis.PyQt.QtGui import QIcon

from ..environment import EnvironmentMissing, worker_python
from ..errors import PluginError, UnusableParameters, shown_by_qgis
from ..resources import icon, tr

Parameters = dict[str, Any]

TILE_STEP = 32


class SslkdAlgorithm(QgsProcessingAlgorithm):
    """An algorithm whose work is done by the worker."""

    TILE = "TILE"
    BATCH = "BATCH"
    DEVICE = "DEVICE"

    def createInstance(self) -> SslkdAlgorithm:
        """Return a fresh algorithm of the same kind."""
        return type(self)()

    def group(self) -> str:
        """Return the group shown in the Toolbox."""
        return tr("Roads")

    def groupId(self) -> str:
        """Return the group's id."""
        return "roads"

    def icon(self) -> QIcon:
        """Return the icon shown in the Toolbox."""
        return icon(self.name())

    def canExecute(self) -> tuple[bool, str]:
        """Tell whether the worker can be started, and what to do if not."""
        try:
            worker_python()
        except EnvironmentMissing as missing:
            return False, str(missing)
        return True, ""

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        """Tell whether the parameters make sense, and what is wrong with them if not."""
        fine, sentence = super().checkParameterValues(parameters, context)
        if not fine:
            return fine, sentence
        try:
            self.check(parameters, context)
        except PluginError as problem:
            return False, str(problem)
        return True, ""

    def prepareAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Take from the layers what only the main thread may ask them."""
        with shown_by_qgis():
            self.take_layers(parameters, context)
        return True

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Have the worker do it, in a thread that is not the window's."""
        with shown_by_qgis():
            return self.process(parameters, context, feedback)

    def take_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Take from the layers what only the main thread may ask them."""
        raise NotImplementedError

    def process(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Have the worker do it; return exactly the outputs that were made."""
        raise NotImplementedError

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise UnusableParameters if the parameters make no sense together."""
        self._check_destinations(parameters, context)
        tile = self.optional_integer(parameters, self.TILE, context)
        if tile is not None and tile % TILE_STEP:
            raise UnusableParameters(
                tr("The tile must be a multiple of {} pixels, and {} is not.").format(TILE_STEP, tile)
            )

    def add_advanced(self, parameter: QgsProcessingParameterDefinition) -> None:
        """Add a parameter that most people leave alone."""
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(parameter)

    def add_tile_and_batch(self, least_tile: int, least_batch: int) -> None:
        """Add the advanced parameters on how much of a raster is looked at together."""
        tile, batch = tr("Tile (pixels, a multiple of 32)"), tr("Tiles at a time")
        self.add_advanced(optional_number(self.TILE, tile, minimum=least_tile))
        self.add_advanced(optional_number(self.BATCH, batch, minimum=least_batch))

    def add_device(self) -> None:
        """Add the advanced parameter on where the networks run."""
        self.add_advanced(named_choice(self.DEVICE, tr("Device"), ["auto", "cpu", "cuda"]))

    def optional_integer(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> int | None:
        """Return an integer, or None if the user left it to the worker."""
        given = self._is_given(parameters, key, context)
        return self.parameterAsInt(parameters, key, context) if given else None

    def optional_double(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> float | None:
        """Return a number, or None if the user left it to the worker."""
        given = self._is_given(parameters, key, context)
        return self.parameterAsDouble(parameters, key, context) if given else None

    def _check_destinations(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        # The dialog asks this; scripts, models and qgis_process do not.
        for destination in self.destinationParameterDefinitions():
            value = parameters.get(destination.name())
            if value is not None:
                supported, sentence = destination.isSupportedOutputValue(value, context)
                if not supported:
                    raise UnusableParameters(sentence)

    def _is_given(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> bool:
        # As a string, a missing key, None and QGIS's NULL all come out empty, and 0 does not.
        return bool(self.parameterAsString(parameters, key, context))


def optional_number(
    key: str,
    description: str,
    minimum: float,
    kind: QgsProcessingParameterNumber.Type = QgsProcessingParameterNumber.Type.Integer,
) -> QgsProcessingParameterNumber:
    """Return a number parameter that may stay empty: the worker then chooses."""
    return QgsProcessingParameterNumber(key, description, type=kind, optional=True, minValue=minimum)


def named_choice(
    key: str, description: str, names: list[str], default: str | None = None
) -> QgsProcessingParameterEnum:
    """Return a choice of names: scripts and models can be read; the first is the default unless told."""
    choice = QgsProcessingParameterEnum(
        key, description, options=names, defaultValue=default or names[0], usesStaticStrings=True
    )
    # `qgis_process help` of QGIS 3.22 asks for the option's number, which QGIS then refuses.
    choice.setHelp(tr("By name: {}.").format(", ".join(names)))
    return choice
