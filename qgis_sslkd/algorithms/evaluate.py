"""Evaluate roads: a surface raster and drawn roads to scores, a map of errors and a report."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ..client import run_job
from ..rasters import Raster, take_raster
from ..resources import short_help, tr
from ..styling import subject_of
from .base import Parameters, SslkdAlgorithm, number


class EvaluateRoads(SslkdAlgorithm):
    """Compares a surface raster with drawn roads."""

    INPUT = "INPUT"
    REFERENCE = "REFERENCE"
    ROAD_WIDTH = "ROAD_WIDTH"
    AREA = "AREA"
    BUFFER = "BUFFER"
    MAP = "MAP"
    REPORT = "REPORT"

    def __init__(self) -> None:
        super().__init__()
        self._surface: Raster | None = None
        self._subject = ""

    def name(self) -> str:
        """Return the id; models and scripts depend on it."""
        return "evaluateroads"

    def displayName(self) -> str:
        """Return the name shown in the Toolbox."""
        return tr("Evaluate roads")

    def tags(self) -> list[str]:
        """Return the words that find it in the Toolbox."""
        return tr("roads,evaluate,accuracy,precision,recall,iou,f1,confusion,validation,quality,compare").split(",")

    def shortDescription(self) -> str:
        """Return the tool tip."""
        return tr("Scores a road surface against drawn roads")

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return short_help(
            self.name(),
            tr(
                "Compares a road surface with drawn roads, pixel by pixel.\n\n"
                "<b>Road surface</b>: a raster of 1 road and 0 background, as <i>Detect roads</i> makes it.\n"
                "<b>Drawn roads</b>: road surfaces as polygons, or roads as lines.\n"
                "<b>Road width</b>: what roads drawn as lines get, in metres.\n"
                "<b>Area</b>: where every road is drawn; nothing counts outside. Without it, all of the raster. "
                "Roads that a model learned from say nothing about it: leave their area out.\n"
                "<b>Buffer</b>: the relaxed scores forgive roads that are off by so many metres.\n\n"
                "<b>Precision</b> is the share of what is called road that is road, "
                "<b>recall</b> the share of the roads that is found; "
                "<b>IoU</b> and <b>F1</b> are low if one of both is. "
                "<b>Overall accuracy</b> is high where roads are few, even if none is found.\n\n"
                "<b>Relaxed precision</b>, <b>relaxed recall</b> and <b>relaxed F1</b> are those with the buffer. "
                "The map of <b>hits, misses and false alarms</b> shows where they are. "
                "The <b>report</b> explains the scores, shows the map, and scores each polygon of the area. "
                "A score is empty where it is undefined, as precision is where no road was found."
            ),
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters and outputs."""
        line, polygon = QgsProcessing.SourceType.TypeVectorLine, QgsProcessing.SourceType.TypeVectorPolygon
        self.addParameter(QgsProcessingParameterRasterLayer(self.INPUT, tr("Road surface")))
        self.addParameter(
            QgsProcessingParameterFeatureSource(self.REFERENCE, tr("Drawn roads (polygons, or lines)"), [polygon, line])
        )
        self.addParameter(number(self.ROAD_WIDTH, tr("Road width (metres, for lines)"), 6.0, minimum=0.1))
        self.addParameter(QgsProcessingParameterFeatureSource(self.AREA, tr("Area"), [polygon], optional=True))
        self.addParameter(number(self.BUFFER, tr("Buffer (metres)"), 3.0))
        self._add_outputs()

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise an error if the parameters make no sense."""
        super().check(parameters, context)
        take_raster(self.input_raster(parameters, self.INPUT, context), None, context)
        self.check_holds(parameters, self.REFERENCE, tr("road"), context)
        self.check_holds(parameters, self.AREA, tr("polygon"), context)

    def take_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Take the raster layer apart."""
        surface = self.input_raster(parameters, self.INPUT, context)
        self._surface, self._subject = take_raster(surface, None, context), subject_of(surface)

    def process(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Evaluate in the worker."""
        job = self._job(parameters, context, feedback)
        outputs = run_job(job, feedback)
        scores = {key: outputs.get(key.lower()) for key in _scores()}
        facts = {_scores()[key]: f"{score:.3f}" for key, score in scores.items() if score is not None}
        layers = self.made_layers(job, (self.MAP,), self._subject, facts, context)
        return {**layers, self.REPORT: job["report"], **scores}

    def _add_outputs(self) -> None:
        self.addParameter(
            QgsProcessingParameterRasterDestination(self.MAP, tr("Hits, misses and false alarms"), optional=True)
        )
        self.addParameter(
            QgsProcessingParameterFileDestination(
                self.REPORT, tr("Report"), fileFilter=tr("HTML files") + " (*.html)", optional=True
            )
        )
        for key, title in _scores().items():
            self.addOutput(QgsProcessingOutputNumber(key, title))

    def _job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        roads, area = (
            self.feature_files(parameters, key, [self._surface], context, feedback)
            for key in (self.REFERENCE, self.AREA)
        )
        (surface,) = self.raster_files([self._surface], feedback)
        return {
            "kind": "evaluate",
            "surface": surface,
            "roads": roads,
            "road_width": self.parameterAsDouble(parameters, self.ROAD_WIDTH, context),
            "area": area,
            "buffer": self.parameterAsDouble(parameters, self.BUFFER, context),
            "map": self.output_path(parameters, self.MAP, context),
            "report": self.parameterAsFileOutput(parameters, self.REPORT, context) or None,
        }


def _scores() -> dict[str, str]:
    """Return the names of the scores and what they are called."""
    return {
        "OA": tr("Overall accuracy"),
        "PRECISION": tr("Precision"),
        "RECALL": tr("Recall"),
        "IOU": tr("IoU"),
        "F1": tr("F1"),
        "RELAXED_PRECISION": tr("Relaxed precision"),
        "RELAXED_RECALL": tr("Relaxed recall"),
        "RELAXED_F1": tr("Relaxed F1"),
    }
