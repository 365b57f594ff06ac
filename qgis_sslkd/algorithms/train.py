"""Train SSLKD: rasters and drawn roads to a model file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsProcessingUtils,
    QgsRasterLayer,
)

from ..client import run_job
from ..errors import UnusableParameters
from ..rasters import Raster
from ..resources import short_help, tr
from .base import TILE_STEP, Parameters, SslkdAlgorithm, named_choice, number, optional_number

METHODS = [
    "sslkd",
    "sslkd-structural",
    "supervised",
    "supervised-t1",
    "supervised-t2",
    "cms-t1",
    "cms-t2",
    "cms",
    "cps",
    "cct",
    "unimatch",
]
PRESETS_OWN = "preset"
STUDENTS = [
    PRESETS_OWN,
    "deeplabv3plus/resnet50",
    "deeplabv3plus/resnet18",
    "deeplabv3plus/efficientnet-b0",
    "deeplabv3plus/tu-mobilenetv3_large_100",
    "segformer/mit_b0",
]


class TrainSslkd(SslkdAlgorithm):
    """Trains the two teachers and the student on the user's rasters and annotations."""

    LABELLED = "LABELLED"
    ANNOTATIONS = "ANNOTATIONS"
    ROAD_WIDTH = "ROAD_WIDTH"
    AREA = "AREA"
    UNLABELLED = "UNLABELLED"
    PRESET = "PRESET"
    METHOD = "METHOD"
    STUDENT = "STUDENT"
    BANDS = "BANDS"
    GSD = "GSD"
    STEPS = "STEPS"
    LEARNING_RATE = "LEARNING_RATE"
    SEED = "SEED"
    WEIGHTS = "WEIGHTS"
    SETTINGS = "SETTINGS"
    CHECKPOINTS = "CHECKPOINTS"
    REPORT = "REPORT"
    IOU = "IOU"
    F1 = "F1"

    def __init__(self) -> None:
        super().__init__()
        self._labelled: list[Raster] = []
        self._unlabelled: list[Raster] = []

    def name(self) -> str:
        """Return the id; models and scripts depend on it."""
        return "trainsslkd"

    def displayName(self) -> str:
        """Return the name shown in the Toolbox."""
        return tr("Train SSLKD")

    def tags(self) -> list[str]:
        """Return the words that find it in the Toolbox."""
        return tr("roads,train,deep learning,semi-supervised,distillation,segmentation").split(",")

    def shortDescription(self) -> str:
        """Return the tool tip."""
        return tr("Trains a road detector from imagery of which only a part is annotated")

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return short_help(
            self.name(),
            tr(
                "Trains a road detector on your own imagery, of which only a part needs annotation.\n\n"
                "Two large networks (the teachers) learn from the annotated part "
                "and teach each other on the rest; "
                "a smaller one (the student) then learns from both. The student is what is kept.\n\n"
                "<b>Labelled rasters</b>: imagery that holds the annotated area, all with the same bands.\n"
                "<b>Annotations</b>: road surfaces as polygons, or roads as lines.\n"
                "<b>Road width</b>: what roads drawn as lines get, in metres.\n"
                "<b>Annotated area</b>: where every road is drawn. "
                "Outside it, a pixel without a road is unknown, not background. "
                "Without it, the whole extent of the labelled rasters counts as annotated.\n"
                "<b>Unlabelled rasters</b>: more imagery of the same kind. "
                "Without it, the part of the labelled rasters outside the annotated area is used.\n"
                "<b>Preset</b>: quick suits a laptop without a GPU, balanced a GPU, "
                "paper is what the publication did.\n\n"
                "Advanced parameters that stay empty follow the preset. "
                "<b>Method</b>: sslkd; the others are what it is compared with in research. "
                "<b>Student's network</b>: the later in the list, the lighter and the faster in detection. "
                "<b>Bands</b>: their numbers, such as 4, 1, 2; by itself all but transparency. "
                "<b>Nodata value</b>: one that stands for nothing, besides what the rasters declare. "
                "<b>Pixel size to learn at</b>: coarser windows see more of the ground in the same time; "
                "by itself that of the labelled rasters, with quick 0.6 m where theirs is finer. "
                "<b>Steps of each stage</b>: more take longer and learn more. "
                "<b>Tile</b> and <b>tiles at a time</b>: what a step looks at; less needs less memory. "
                "<b>Learning rate</b>: how far a step goes. <b>Seed</b>: another draws other tiles and weights. "
                "<b>Device</b>: auto takes the GPU where there is one. "
                "<b>Starting weights</b>: imagenet downloads weights that have seen photographs. "
                "A <b>settings file</b> (TOML) sets everything else that the documentation lists; "
                "what is chosen here comes before it. "
                "With a <b>checkpoint folder</b>, a training that was cancelled goes on where it stopped "
                "when it is started again with the same parameters.\n"
                "<b>Layers from servers</b> (tiles, WMS) are copied first, into the checkpoint folder if there is one; "
                "they need the extent and the pixel size on the ground, or get the next finer one that the server has. "
                "A tile has 256 by 256 pixels.\n"
                "<b>Extent of layers from servers</b>, <b>pixel size of layers from servers</b> and "
                "<b>most tiles to copy of a layer</b>: where, how fine, and how much at most.\n\n"
                "The <b>model file</b> is for <i>Detect roads</i>. The <b>report</b> is a page for a browser. "
                "<b>Validation IoU</b> and <b>validation F1</b> are measured on windows that were held out, "
                "from 0 to 1."
            ),
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters and outputs."""
        self._add_inputs()
        self._add_advanced_inputs()
        self._add_outputs()

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise an error if the parameters make no sense."""
        super().check(parameters, context)
        self._take_rasters(parameters, self.LABELLED, context)
        self._take_rasters(parameters, self.UNLABELLED, context)
        self._bands(parameters, context)
        self.check_holds(parameters, self.ANNOTATIONS, tr("road"), context)
        self.check_holds(parameters, self.AREA, tr("polygon"), context)

    def take_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Take the raster layers apart."""
        self._labelled = self._take_rasters(parameters, self.LABELLED, context)
        self._unlabelled = self._take_rasters(parameters, self.UNLABELLED, context)

    def process(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Train in the worker."""
        job = self._job(parameters, context, feedback)
        if Path(QgsProcessingUtils.tempFolder()) in Path(job["model"]).parents:
            feedback.pushWarning(
                tr("The model file is temporary, and goes when QGIS is closed: save {} elsewhere.").format(job["model"])
            )
        outputs = run_job(job, feedback)
        scores = {self.IOU: outputs.get("iou"), self.F1: outputs.get("f1")}
        return {self.MODEL: job["model"], self.REPORT: job["report"], **scores}

    def _add_inputs(self) -> None:
        raster, line, polygon = (
            QgsProcessing.SourceType.TypeRaster,
            QgsProcessing.SourceType.TypeVectorLine,
            QgsProcessing.SourceType.TypeVectorPolygon,
        )
        labelled = QgsProcessingParameterMultipleLayers(self.LABELLED, tr("Labelled rasters"), raster)
        labelled.setMinimumNumberInputs(1)
        self.addParameter(labelled)
        self.addParameter(
            QgsProcessingParameterFeatureSource(
                self.ANNOTATIONS, tr("Annotations (road polygons, or lines)"), [polygon, line]
            )
        )
        self.addParameter(number(self.ROAD_WIDTH, tr("Road width (metres, for lines)"), 6.0, minimum=0.1))
        self.addParameter(
            QgsProcessingParameterFeatureSource(self.AREA, tr("Annotated area"), [polygon], optional=True)
        )
        self.addParameter(
            QgsProcessingParameterMultipleLayers(self.UNLABELLED, tr("Unlabelled rasters"), raster, optional=True)
        )
        self.addParameter(named_choice(self.PRESET, tr("Preset"), ["quick", "balanced", "paper"], default="balanced"))

    def _add_advanced_inputs(self) -> None:
        self.add_advanced(named_choice(self.METHOD, tr("Method"), METHODS))
        self.add_advanced(named_choice(self.STUDENT, tr("Student's network"), STUDENTS))
        # QGIS offers bands to choose from of a single layer alone.
        bands = QgsProcessingParameterString(self.BANDS, tr("Bands (numbers, such as 4, 1, 2)"), optional=True)
        self.add_advanced(bands)
        self.add_nodata()
        double = QgsProcessingParameterNumber.Type.Double
        pixel = tr("Pixel size to learn at (metres)")
        self.add_advanced(optional_number(self.GSD, pixel, minimum=0.001, kind=double))
        self.add_advanced(optional_number(self.STEPS, tr("Steps of each stage"), minimum=1))
        # Batch norm needs two tiles, and two of its values in each channel of the deepest features.
        self.add_tile_and_batch(least_tile=2 * TILE_STEP, least_batch=2)
        self.add_advanced(optional_number(self.LEARNING_RATE, tr("Learning rate"), minimum=1e-8, kind=double))
        self.add_advanced(
            QgsProcessingParameterNumber(
                self.SEED,
                tr("Seed"),
                type=QgsProcessingParameterNumber.Type.Integer,
                defaultValue=0,
                minValue=0,
            )
        )
        self.add_advanced(QgsProcessingParameterExtent(self.EXTENT, tr("Extent of layers from servers"), optional=True))
        self.add_frame()
        self.add_device()
        self.add_advanced(named_choice(self.WEIGHTS, tr("Starting weights"), ["none", "imagenet"]))
        self.add_advanced(
            QgsProcessingParameterFile(
                self.CHECKPOINTS,
                tr("Checkpoint folder"),
                behavior=QgsProcessingParameterFile.Behavior.Folder,
                optional=True,
            )
        )
        self.add_advanced(
            QgsProcessingParameterFile(
                self.SETTINGS, tr("Settings file"), fileFilter=tr("TOML files") + " (*.toml)", optional=True
            )
        )

    def _add_outputs(self) -> None:
        self.addParameter(
            QgsProcessingParameterFileDestination(
                self.MODEL, tr("Model file"), fileFilter=tr("SSLKD model") + " (*.safetensors)"
            )
        )
        self.addParameter(
            QgsProcessingParameterFileDestination(self.REPORT, tr("Report"), fileFilter=tr("HTML files") + " (*.html)")
        )
        self.addOutput(QgsProcessingOutputNumber(self.IOU, tr("Validation IoU")))
        self.addOutput(QgsProcessingOutputNumber(self.F1, tr("Validation F1")))

    def _take_rasters(self, parameters: Parameters, key: str, context: QgsProcessingContext) -> list[Raster]:
        layers = self.parameterAsLayerList(parameters, key, context)
        # QGIS looks at no layer's type in a list, and finds the vectors first in a GeoPackage that holds both.
        if not all(isinstance(layer, QgsRasterLayer) for layer in layers):
            raise UnusableParameters(self.invalidRasterError(parameters, key))
        return [self.take_raster(layer, parameters, context) for layer in layers]

    def _bands(self, parameters: Parameters, context: QgsProcessingContext) -> list[int]:
        """Return the numbers of the bands to learn from; none for all but transparency."""
        words = re.findall(r"[^\s,;]+", self.parameterAsString(parameters, self.BANDS, context))
        for word in words:
            if not word.isdecimal():
                raise UnusableParameters(tr("{} is no number of a band: name bands such as 4, 1, 2.").format(word))
        return [int(word) for word in words]

    def _job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        student = self.parameterAsEnumString(parameters, self.STUDENT, context)
        weights = self.parameterAsEnumString(parameters, self.WEIGHTS, context)
        checkpoints = self.parameterAsFile(parameters, self.CHECKPOINTS, context) or None
        # A training goes on with rasters of the same names only.
        copies = Path(checkpoints, "rasters") if checkpoints else None
        layers = [*self._labelled, *self._unlabelled]
        roads, area = (
            self.feature_files(parameters, key, layers, context, feedback) for key in (self.ANNOTATIONS, self.AREA)
        )
        rasters = self.raster_files(layers, feedback, copies)
        return {
            "kind": "train",
            "labelled": rasters[: len(self._labelled)],
            "roads": roads,
            "road_width": self.parameterAsDouble(parameters, self.ROAD_WIDTH, context),
            "area": area,
            "unlabelled": rasters[len(self._labelled) :],
            "method": self.parameterAsEnumString(parameters, self.METHOD, context),
            "preset": self.parameterAsEnumString(parameters, self.PRESET, context),
            "bands": self._bands(parameters, context),
            "nodata": self.optional_double(parameters, self.NODATA, context),
            "student": None if student == PRESETS_OWN else student,
            "gsd": self.optional_double(parameters, self.GSD, context),
            "steps": self.optional_integer(parameters, self.STEPS, context),
            "batch": self.optional_integer(parameters, self.BATCH, context),
            "tile": self.optional_integer(parameters, self.TILE, context),
            "learning_rate": self.optional_double(parameters, self.LEARNING_RATE, context),
            # What was left as it is leaves the settings file its say.
            "seed": self.parameterAsInt(parameters, self.SEED, context) or None,
            "device": self.parameterAsEnumString(parameters, self.DEVICE, context),
            "weights": None if weights == "none" else weights,
            "settings": self.parameterAsFile(parameters, self.SETTINGS, context) or None,
            "model": self.parameterAsFileOutput(parameters, self.MODEL, context),
            "report": self.parameterAsFileOutput(parameters, self.REPORT, context),
            "checkpoints": checkpoints,
        }
