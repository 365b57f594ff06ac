"""Vectorise roads: a raster of roads, of their probability, or of classes, to outlines and centre lines."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterCrs,
    QgsProcessingParameterRasterLayer,
)

from ..client import run_job
from ..errors import UnusableParameters
from ..rasters import Raster, take_raster
from ..resources import short_help, tr
from ..styling import subject_of
from .base import Parameters, SslkdAlgorithm, optional_number, threshold, vector_measure


class VectoriseRoads(SslkdAlgorithm):
    """Makes vectors for a map; no model is needed."""

    INPUT = "INPUT"
    ROAD_CLASS = "ROAD_CLASS"

    def __init__(self) -> None:
        super().__init__()
        self._raster: Raster | None = None
        self._subject = ""

    def name(self) -> str:
        """Return the id; models and scripts depend on it."""
        return "vectoriseroads"

    def displayName(self) -> str:
        """Return the name shown in the Toolbox."""
        return tr("Vectorise roads")

    def tags(self) -> list[str]:
        """Return the words that find it in the Toolbox."""
        return tr("roads,vectorise,vectorize,polygonize,outlines,centre lines,centerlines,skeleton,network").split(",")

    def shortDescription(self) -> str:
        """Return the tool tip."""
        return tr("Makes outlines and centre lines for a map from a raster of roads")

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return short_help(
            self.name(),
            tr(
                "Makes outlines and centre lines for a map from a raster of roads, whatever made it.\n\n"
                "<b>Raster</b>: a road surface (1 road, 0 background), the probability of road (0 to 1) or classes, "
                "in one band.\n"
                "<b>Class of road</b>: the value that is road, for a raster of classes, or a mask of 0 and 255; "
                "empty for others.\n"
                "<b>Threshold</b>: of a probability, a pixel is road from this value on.\n"
                "<b>Least area</b>: smaller roads are left out.\n"
                "<b>Holes to fill</b>: smaller holes are filled, as parked cars and trees leave them.\n"
                "<b>Simplification</b>: how far a vector may leave the pixels' stairs; "
                "0 keeps them, if smoothing is 0, too.\n"
                "<b>Smoothing</b>: as far from a corner, it is rounded off; 0 keeps the corners.\n"
                "<b>Gaps to bridge</b>: interruptions of the centre lines up to this length are closed.\n"
                "<b>Coordinate reference system of the vectors</b>: without it, the raster's.\n\n"
                "<b>Road outlines</b> are valid polygons with their area and, from a probability, its mean. "
                "<b>Road centre lines</b> are a connected network with widths and lengths. "
                "All measures are metres on the ground, whatever the coordinate reference system."
            ),
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters and outputs."""
        self.addParameter(
            QgsProcessingParameterRasterLayer(self.INPUT, tr("Raster (road surface, probability or classes)"))
        )
        self.addParameter(optional_number(self.ROAD_CLASS, tr("Class of road (for a raster of classes)"), minimum=0))
        self.addParameter(threshold(self.THRESHOLD))
        for key in self.VECTOR_MEASURES:
            self.addParameter(vector_measure(key))
        self.addParameter(
            QgsProcessingParameterCrs(self.CRS, tr("Coordinate reference system of the vectors"), optional=True)
        )
        self.add_vector_outputs(centre_lines_by_default=True)

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise an error if the parameters make no sense."""
        super().check(parameters, context)
        take_raster(self.input_raster(parameters, self.INPUT, context), None, context)
        if not (parameters.get(self.OUTLINES) or parameters.get(self.CENTRE_LINES)):
            raise UnusableParameters(tr("No output is asked for: choose outlines, centre lines or both."))

    def take_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Take the raster layer apart."""
        raster = self.input_raster(parameters, self.INPUT, context)
        self._raster, self._subject = take_raster(raster, None, context), subject_of(raster)

    def process(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Vectorise in the worker."""
        (raster,) = self.raster_files([self._raster], feedback)
        job = self._job(raster, parameters, context)
        run_job(job, feedback)
        facts = {
            self.parameterDefinition(key).description(): f"{job[key.lower()]:g}"
            for key in (self.ROAD_CLASS, self.THRESHOLD, *self.VECTOR_MEASURES)
            if job[key.lower()] is not None
        }
        return self.made_layers(job, (self.OUTLINES, self.CENTRE_LINES), self._subject, facts, context)

    def _job(self, raster: str, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        return {
            "kind": "vectorise",
            "raster": raster,
            "road_class": self.optional_integer(parameters, self.ROAD_CLASS, context),
            **self.vector_numbers(parameters, context),
            "crs": self.optional_crs(parameters, context),
            "outlines": self.output_path(parameters, self.OUTLINES, context),
            "centre_lines": self.output_path(parameters, self.CENTRE_LINES, context),
        }
