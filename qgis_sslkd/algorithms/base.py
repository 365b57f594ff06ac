"""What the algorithms share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
    QgsProcessingUtils,
    QgsProperty,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QIcon

from ..environment import EnvironmentMissing, worker_python
from ..errors import PluginError, UnusableParameters, shown_by_qgis
from ..instances import new_instance
from ..layers import crs_text, unsaved_edits, write_features
from ..rasters import MOST_TILES, Frame, Raster, take_raster
from ..resources import help_page, icon, tr
from ..sources import files_of, read_anew
from ..styling import Origin, present_when_loaded

Parameters = dict[str, Any]

TILE_STEP = 32


class SslkdAlgorithm(QgsProcessingAlgorithm):
    """An algorithm whose work is done by the worker."""

    MODEL = "MODEL"
    TILE = "TILE"
    OVERLAP = "OVERLAP"
    BATCH = "BATCH"
    NODATA = "NODATA"
    DEVICE = "DEVICE"
    CRS = "CRS"
    EXTENT = "EXTENT"
    PIXEL_SIZE = "PIXEL_SIZE"
    MOST_TILES = "MOST_TILES"
    OUTLINES = "OUTLINES"
    CENTRE_LINES = "CENTRE_LINES"
    THRESHOLD = "THRESHOLD"
    LEAST_AREA = "LEAST_AREA"
    FILL_HOLES = "FILL_HOLES"
    SIMPLIFY = "SIMPLIFY"
    SMOOTH = "SMOOTH"
    BRIDGE = "BRIDGE"
    VECTOR_MEASURES = (LEAST_AREA, FILL_HOLES, SIMPLIFY, SMOOTH, BRIDGE)

    def __init__(self) -> None:
        super().__init__()
        self._made: list[str] = []

    def createInstance(self) -> SslkdAlgorithm:
        """Return a fresh algorithm of the same kind."""
        return new_instance(self)

    def group(self) -> str:
        """Return the group shown in the Toolbox."""
        return tr("Roads")

    def groupId(self) -> str:
        """Return the group's id."""
        return "roads"

    def icon(self) -> QIcon:
        """Return the icon shown in the Toolbox."""
        return icon(self.name())

    def helpUrl(self) -> str:
        """Return the address of the help page, which the dialog's button opens."""
        return help_page(self.name())

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
            # Models do not check the values of their steps, and QGIS then takes a default for what is none.
            fine, sentence = self.checkParameterValues(parameters, context)
            if not fine:
                raise UnusableParameters(sentence)
            self.take_layers(parameters, context)
        for sentence in self._unsaved_edits(parameters, context):
            feedback.pushInfo(sentence)
        return True

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Have the worker do it, in a thread that is not the window's."""
        with shown_by_qgis():
            return self.process(parameters, context, feedback)

    def postProcessAlgorithm(self, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Parameters:
        """Have the project's layers show what was made, whether Processing loads it or not; in the main thread."""
        read_anew(_layers_of_project(context), self._made, feedback)
        return {}

    def take_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Take from the layers what only the main thread may ask them."""
        raise NotImplementedError

    def process(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Have the worker do it; return exactly the outputs that are declared."""
        raise NotImplementedError

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise UnusableParameters if the parameters make no sense together."""
        self._check_destinations(parameters, context)
        self._check_inputs_stay(parameters, context)
        self._check_readable(parameters, context)
        self._check_numbers(parameters, context)
        self.optional_crs(parameters, context)
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

    def add_model(self) -> None:
        """Add the model file that Train SSLKD made."""
        self.addParameter(
            QgsProcessingParameterFile(self.MODEL, tr("Model file"), fileFilter=tr("SSLKD model") + " (*.safetensors)")
        )

    def add_overlap(self) -> None:
        """Add the advanced parameter on what neighbouring tiles share."""
        self.add_advanced(optional_number(self.OVERLAP, tr("Overlap of tiles (pixels)"), minimum=0))

    def add_nodata(self) -> None:
        """Add the advanced parameter on what stands for nothing in rasters that do not declare it."""
        self.add_advanced(
            QgsProcessingParameterNumber(
                self.NODATA, tr("Nodata value"), type=QgsProcessingParameterNumber.Type.Double, optional=True
            )
        )

    def add_device(self) -> None:
        """Add the advanced parameter on where the networks run."""
        self.add_advanced(named_choice(self.DEVICE, tr("Device"), ["auto", "cpu", "cuda"]))

    def add_frame(self) -> None:
        """Add the advanced parameters on how much is copied of layers that the worker cannot read."""
        pixel, tiles = tr("Pixel size of layers from servers (metres)"), tr("Most tiles to copy of a layer")
        double = QgsProcessingParameterNumber.Type.Double
        self.add_advanced(optional_number(self.PIXEL_SIZE, pixel, minimum=0.001, kind=double))
        most = optional_number(self.MOST_TILES, tiles, minimum=1)
        most.setDefaultValue(MOST_TILES)
        self.add_advanced(most)

    def add_vector_outputs(self, centre_lines_by_default: bool) -> None:
        """Add outlines and centre lines as optional outputs."""
        polygon, line = QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeVectorLine
        for key, title, kind, by_default in (
            (self.OUTLINES, tr("Road outlines"), polygon, True),
            (self.CENTRE_LINES, tr("Road centre lines"), line, centre_lines_by_default),
        ):
            self.addParameter(
                QgsProcessingParameterVectorDestination(key, title, kind, optional=True, createByDefault=by_default)
            )

    def optional_integer(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> int | None:
        """Return an integer, or None if the user left it to the worker."""
        given = self._is_given(parameters, key, context)
        return self.parameterAsInt(parameters, key, context) if given else None

    def optional_double(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> float | None:
        """Return a number, or None if the user left it to the worker."""
        given = self._is_given(parameters, key, context)
        return self.parameterAsDouble(parameters, key, context) if given else None

    def input_raster(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> QgsRasterLayer:
        """Return a raster layer that must be there."""
        raster = self.parameterAsRasterLayer(parameters, key, context)
        if raster is None:
            raise UnusableParameters(self.invalidRasterError(parameters, key))
        return raster

    def take_raster(
        self,
        layer: QgsRasterLayer,
        parameters: Parameters,
        context: QgsProcessingContext,
        usual_pixel: float | None = None,
    ) -> Raster:
        """Take from a raster layer what only the main thread may ask it.

        Raises:
            LayerUnusable: if the worker cannot be given it.
        """
        frame = Frame(
            self.parameterAsExtent(parameters, self.EXTENT, context, layer.crs()),
            self.optional_double(parameters, self.PIXEL_SIZE, context) or usual_pixel,
            self.parameterAsInt(parameters, self.MOST_TILES, context),
        )
        return take_raster(layer, frame, context)

    def raster_files(
        self, rasters: Sequence[Raster], feedback: QgsProcessingFeedback, folder: Path | None = None
    ) -> list[str]:
        """Return the rasters' files; what must be copied goes to the folder, or to one that QGIS clears."""
        copies = folder or Path(QgsProcessingUtils.generateTempFilename("rasters"))
        return [raster.file(copies / str(number), feedback) for number, raster in enumerate(rasters, 1)]

    def optional_crs(self, parameters: Parameters, context: QgsProcessingContext) -> str | None:
        """Return the text of the coordinate reference system, or None if the user left it to the worker."""
        crs, given = self.parameterAsCrs(parameters, self.CRS, context), parameters.get(self.CRS)
        if crs.isValid():
            return crs_text(crs)
        if isinstance(given, str) and given:
            raise UnusableParameters(
                tr("The coordinate reference system {} is not known: choose one such as EPSG:25832.").format(given)
            )
        return None

    def output_path(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> str | None:
        """Return the file of an output layer, or None if it is not wanted."""
        wanted = parameters.get(key)
        # The batch dialog's way to leave an output out; QGIS would look for its layer all the same.
        if isinstance(wanted, QgsProcessingOutputLayerDefinition) and wanted.sink == QgsProperty.fromValue(""):
            return None
        return self.parameterAsOutputLayer(parameters, key, context) or None

    def feature_files(
        self,
        parameters: Parameters,
        key: str,
        rasters: Sequence[Raster],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> list[str]:
        """Return the file of a vector layer's features, written for the worker and some rasters; none without a layer.

        To be asked for before rasters are copied, which may take long: layers can be removed meanwhile.
        """
        source = self.parameterAsSource(parameters, key, context)
        if source is not None:
            return [write_features(source, [raster.place for raster in rasters], context, feedback)]
        if parameters.get(key):
            raise UnusableParameters(self.invalidSourceError(parameters, key))
        return []

    def check_holds(self, parameters: Parameters, key: str, what: str, context: QgsProcessingContext) -> None:
        """Raise UnusableParameters if a vector layer is given and holds no feature."""
        source = self.parameterAsSource(parameters, key, context)
        if source is not None and source.featureCount() == 0:
            raise UnusableParameters(
                tr("The layer {} holds no {}: draw some, or check its filter and its selection.").format(
                    source.sourceName(), what
                )
            )

    def check_model(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise UnusableParameters if the model file is not there."""
        model = self.parameterAsFile(parameters, self.MODEL, context)
        if not Path(model).is_file():
            raise UnusableParameters(tr("There is no model file {}: choose one that Train SSLKD made.").format(model))

    def check_overlap(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise UnusableParameters if tiles would overlap by more than their side."""
        tile = self.optional_integer(parameters, self.TILE, context)
        overlap = self.optional_integer(parameters, self.OVERLAP, context)
        if tile is not None and overlap is not None and overlap >= tile:
            raise UnusableParameters(
                tr("The overlap ({} pixels) must be smaller than the tile ({} pixels).").format(overlap, tile)
            )

    def vector_numbers(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, float]:
        """Return the threshold and the measures of vectors, as jobs have them."""
        keys = (self.THRESHOLD, *self.VECTOR_MEASURES)
        return {key.lower(): self.parameterAsDouble(parameters, key, context) for key in keys}

    def made_layers(
        self,
        job: dict[str, Any],
        keys: tuple[str, ...],
        subject: str,
        facts: dict[str, str],
        context: QgsProcessingContext,
    ) -> dict[str, str | None]:
        """Return the layers of a job that was done, each to be loaded as what its key names, of a raster.

        A layer that was not asked for is None, as models have it: a model exported to Python looks for each.
        """
        made = {key: job[key.lower()] for key in keys}
        self._made = [path for path in made.values() if path is not None]
        origin = Origin(subject, self.displayName(), {tr("Raster"): subject, **facts})
        for key, path in made.items():
            if path is not None:
                usual_name = self.parameterDefinition(key).description()
                present_when_loaded(path, key.lower(), usual_name, origin, context)
        return made

    def _unsaved_edits(self, parameters: Parameters, context: QgsProcessingContext) -> Iterator[str]:
        for layer in self._input_layers(parameters, context):
            if isinstance(layer, QgsVectorLayer) and (sentence := unsaved_edits(layer)):
                yield sentence

    def _input_layers(self, parameters: Parameters, context: QgsProcessingContext) -> Iterator[QgsMapLayer]:
        for parameter in self.parameterDefinitions():
            key, layer = parameter.name(), None
            if isinstance(parameter, QgsProcessingParameterMultipleLayers):
                yield from self.parameterAsLayerList(parameters, key, context)
            elif isinstance(parameter, QgsProcessingParameterRasterLayer):
                layer = self.parameterAsRasterLayer(parameters, key, context)
            elif isinstance(parameter, QgsProcessingParameterFeatureSource):
                layer = self._vector_layer(parameters, key, context)
            if layer is not None:
                yield layer

    def _vector_layer(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> QgsVectorLayer | None:
        given = parameters.get(key)
        # So it comes where only its selected features are wanted.
        if isinstance(given, QgsProcessingFeatureSourceDefinition):
            parameters = {**parameters, key: given.source}
        return self.parameterAsVectorLayer(parameters, key, context)

    def _check_inputs_stay(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise UnusableParameters if an output would replace a file that an input layer or unsaved edits lie in."""
        taken = _places(self._input_layers(parameters, context))
        edited = _places(_edited_layers(context))
        for destination in self.destinationParameterDefinitions():
            # Of any destination: it alone does not ask QGIS to load anything.
            output = self.parameterAsFileOutput(parameters, destination.name(), context)
            place = Path(output).resolve() if output else None
            if place in taken:
                raise UnusableParameters(tr("The output {} is one of the inputs; give it another name.").format(output))
            # They would be saved to whatever features of the new file have the same numbers.
            if place in edited:
                raise UnusableParameters(
                    tr(
                        "The output {} would replace the file of the layer {}, which has edits that are not saved yet: "
                        "save or drop them first, or give the output another name."
                    ).format(output, edited[place])
                )

    def _check_readable(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise UnusableParameters if an input layer cannot be read, as one whose file is gone."""
        for layer in self._input_layers(parameters, context):
            if not layer.isValid():
                raise UnusableParameters(
                    tr("The layer {} cannot be read: mend or remove it first.").format(layer.name())
                )

    def _check_destinations(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        # The dialog asks this; scripts, models and qgis_process do not.
        # In a context apart: QGIS 3.22 has it load a temporary output, under a name that no file will have.
        apart = QgsProcessingContext()
        apart.setExpressionContext(context.expressionContext())
        for destination in self.destinationParameterDefinitions():
            value = parameters.get(destination.name())
            output = self.parameterAsFileOutput(parameters, destination.name(), apart)
            # QGIS takes it for a file: the extension is that of the database.
            if output.startswith("ogr:"):
                raise UnusableParameters(
                    tr("The output {} is a table of a database: name a file of its own instead.").format(output)
                )
            if value is not None:
                supported, sentence = destination.isSupportedOutputValue(value, apart)
                if not supported:
                    raise UnusableParameters(sentence)

    def _check_numbers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        # Where a number may stay empty, QGIS takes any text, and 0 for it.
        for parameter in self.parameterDefinitions():
            text = self.parameterAsString(parameters, parameter.name(), context)
            if isinstance(parameter, QgsProcessingParameterNumber) and text:
                try:
                    float(text)
                except ValueError:
                    raise UnusableParameters(
                        tr("“{}” takes a number, and {} is none.").format(parameter.description(), text)
                    ) from None

    def _is_given(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> bool:
        # As a string, a missing key, None and QGIS's NULL all come out empty, and 0 does not.
        return bool(self.parameterAsString(parameters, key, context))


def _places(layers: Iterable[QgsMapLayer]) -> dict[Path, str]:
    """Return the files that layers lie in, each with the name of a layer."""
    return {Path(file).resolve(): layer.name() for layer in layers for file in files_of(layer)}


def _edited_layers(context: QgsProcessingContext) -> list[QgsVectorLayer]:
    """Return the layers of the project that have edits which are not saved yet."""
    layers = _layers_of_project(context)
    return [layer for layer in layers if isinstance(layer, QgsVectorLayer) and layer.isModified()]


def _layers_of_project(context: QgsProcessingContext) -> list[QgsMapLayer]:
    return list(context.project().mapLayers().values()) if context.project() else []


def optional_number(
    key: str,
    description: str,
    minimum: float,
    kind: QgsProcessingParameterNumber.Type = QgsProcessingParameterNumber.Type.Integer,
) -> QgsProcessingParameterNumber:
    """Return a number parameter that may stay empty: the worker then chooses."""
    return QgsProcessingParameterNumber(key, description, type=kind, optional=True, minValue=minimum)


def number(
    key: str, description: str, default: float, minimum: float = 0.0, maximum: float | None = None
) -> QgsProcessingParameterNumber:
    """Return a number parameter that always has a value."""
    parameter = QgsProcessingParameterNumber(
        key, description, type=QgsProcessingParameterNumber.Type.Double, defaultValue=default, minValue=minimum
    )
    if maximum is not None:
        parameter.setMaximum(maximum)
    return parameter


def threshold(key: str) -> QgsProcessingParameterNumber:
    """Return the parameter on the least probability of road."""
    return number(key, tr("Threshold (above 0, to 1)"), 0.5, minimum=0.001, maximum=1.0)


def vector_measure(key: str) -> QgsProcessingParameterNumber:
    """Return the parameter of a key on how vectors are made, which has one default wherever they are."""
    measures = {
        SslkdAlgorithm.LEAST_AREA: (tr("Least area (square metres)"), 20.0),
        SslkdAlgorithm.FILL_HOLES: (tr("Holes to fill (square metres)"), 30.0),
        SslkdAlgorithm.SIMPLIFY: (tr("Simplification (metres)"), 0.5),
        SslkdAlgorithm.SMOOTH: (tr("Smoothing (metres)"), 2.0),
        SslkdAlgorithm.BRIDGE: (tr("Gaps to bridge (metres)"), 15.0),
    }
    return number(key, *measures[key])


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
