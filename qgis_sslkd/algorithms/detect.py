"""Detect roads: a raster and a model file to road surface, probability, outlines and centre lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsRasterLayer,
)

from ..client import run_job
from ..errors import UnusableParameters
from ..model_file import read_facts
from ..rasters import Raster
from ..resources import short_help, tr
from ..styling import subject_of
from .base import TILE_STEP, Parameters, SslkdAlgorithm, named_choice, threshold, vector_measure


class DetectRoads(SslkdAlgorithm):
    """Runs a trained student over a raster."""

    INPUT = "INPUT"
    AREA = "AREA"
    BANDS = "BANDS"
    RESAMPLE = "RESAMPLE"
    FLIPS = "FLIPS"
    PRECISION = "PRECISION"
    COG = "COG"
    SURFACE = "SURFACE"
    PROBABILITY = "PROBABILITY"
    _PRODUCTS = (SURFACE, PROBABILITY, SslkdAlgorithm.OUTLINES, SslkdAlgorithm.CENTRE_LINES)

    def __init__(self) -> None:
        super().__init__()
        self._raster: Raster | None = None
        self._subject = ""
        self._extent: list[float] | None = None

    def name(self) -> str:
        """Return the id; models and scripts depend on it."""
        return "detectroads"

    def displayName(self) -> str:
        """Return the name shown in the Toolbox."""
        return tr("Detect roads")

    def tags(self) -> list[str]:
        """Return the words that find it in the Toolbox."""
        return tr("roads,detect,extract,deep learning,segmentation,inference,predict").split(",")

    def shortDescription(self) -> str:
        """Return the tool tip."""
        return tr("Finds the roads in a raster with a model that Train SSLKD made")

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return short_help(
            self.name(),
            tr(
                "Finds the roads in a raster with a model that <i>Train SSLKD</i> made.\n\n"
                "<b>Raster</b>: imagery like that of the training, with the same bands.\n"
                "<b>Model file</b>: the student, as <i>Train SSLKD</i> made it.\n"
                "<b>Extent</b>: the part to look at; without it, all of the raster.\n"
                "<b>Area</b>: polygons to look in; elsewhere the results hold nodata, and no time is spent.\n"
                "<b>Threshold</b>: a pixel is road from this probability on. "
                "Lower finds more roads, and more that are none.\n"
                "<b>Least area</b>: smaller patches are left out of the outlines and the centre lines.\n"
                "<b>Simplification</b>: how far a vector may leave the pixels' stairs; "
                "0 keeps them, if smoothing is 0, too.\n\n"
                "Advanced parameters that stay empty are chosen for the device and the model. "
                "If the memory runs out, look at fewer tiles at a time.\n"
                "<b>Bands</b>: those that the model learned from, in its order; without a choice, those of its colours "
                "where the raster declares them, else all but transparency.\n"
                "<b>Nodata value</b>: one that stands for nothing, besides what the raster declares.\n"
                "<b>Resample to the model's pixel size</b>: look at pixels as large as those of the training; "
                "the results keep the raster's own.\n"
                "<b>Flip and turn</b>: take the mean over eight looks.\n"
                "<b>Holes to fill</b>, <b>smoothing</b> and <b>gaps to bridge</b>: as in <i>Vectorise roads</i>.\n"
                "<b>Layers from servers</b> (tiles, WMS) are copied first, inside the extent, which they need, "
                "at the pixel size on the ground, else at that of the model, "
                "or the next finer one that the server has; "
                "a tile has 256 by 256 pixels.\n"
                "<b>Pixel size of layers from servers</b> and <b>most tiles to copy of a layer</b>: "
                "how fine, and how much at most.\n"
                "<b>Tile</b>, <b>tiles at a time</b> and <b>overlap of tiles</b>: how much is looked at together.\n"
                "<b>Device</b>: auto takes the GPU where there is one.\n"
                "<b>Precision</b>: float32 is exact, bfloat16 may be faster.\n"
                "<b>Write Cloud Optimised GeoTIFFs</b>: rasters that can be read from a web server in parts.\n"
                "<b>Coordinate reference system of the vectors</b>: without it, the raster's.\n\n"
                "The <b>road surface</b> is 1 on roads, 0 elsewhere, nodata where the raster has none; "
                "the <b>road probability</b> is from 0 to 1. <b>Road outlines</b> are polygons with their areas. "
                "<b>Road centre lines</b> are a connected network with widths and lengths in metres; "
                "<i>Vectorise roads</i> makes them, and the outlines, again from the surface or the probability, "
                "with more to choose.\n\n"
                "The rasters carry the coordinate reference system of the input and line up with its pixels."
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
        raster = self.input_raster(parameters, self.INPUT, context)
        self._extent_in(raster, parameters, context)
        self._take_raster(raster, parameters, context)
        self.check_holds(parameters, self.AREA, tr("polygon"), context)
        self._check_bands(raster, parameters, context)
        self.check_model(parameters, context)
        self.check_overlap(parameters, context)

    def take_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Take the raster layer apart."""
        raster = self.input_raster(parameters, self.INPUT, context)
        self._raster = self._take_raster(raster, parameters, context)
        self._subject = subject_of(raster)
        self._extent = self._extent_in(raster, parameters, context)

    def process(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Detect in the worker."""
        model = _described(self.parameterAsFile(parameters, self.MODEL, context))
        feedback.pushInfo(tr("Model: {}").format(model))
        job = self._job(parameters, context, feedback)
        run_job(job, feedback)
        facts = {tr("Model"): model, tr("Threshold"): f"{job['threshold']:g}"}
        return self.made_layers(job, self._PRODUCTS, self._subject, facts, context)

    def _add_inputs(self) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer(self.INPUT, tr("Raster")))
        self.add_model()
        self.addParameter(QgsProcessingParameterExtent(self.EXTENT, tr("Extent"), optional=True))
        polygon = QgsProcessing.SourceType.TypeVectorPolygon
        self.addParameter(QgsProcessingParameterFeatureSource(self.AREA, tr("Area"), [polygon], optional=True))
        self.addParameter(threshold(self.THRESHOLD))
        for key in (self.LEAST_AREA, self.SIMPLIFY):
            self.addParameter(vector_measure(key))

    def _add_advanced_inputs(self) -> None:
        self._add_imagery_inputs()
        for key in (self.FILL_HOLES, self.SMOOTH, self.BRIDGE):
            self.add_advanced(vector_measure(key))
        self.add_frame()
        self.add_tile_and_batch(least_tile=TILE_STEP, least_batch=1)
        self.add_overlap()
        self.add_device()
        self.add_advanced(named_choice(self.PRECISION, tr("Precision"), ["auto", "float32", "bfloat16"]))
        cog, crs = tr("Write Cloud Optimised GeoTIFFs"), tr("Coordinate reference system of the vectors")
        self.add_advanced(QgsProcessingParameterBoolean(self.COG, cog, defaultValue=False))
        self.add_advanced(QgsProcessingParameterCrs(self.CRS, crs, optional=True))

    def _add_imagery_inputs(self) -> None:
        """Add the advanced parameters on how the raster is looked at."""
        self.add_advanced(
            QgsProcessingParameterBand(
                self.BANDS, tr("Bands"), parentLayerParameterName=self.INPUT, optional=True, allowMultiple=True
            )
        )
        self.add_nodata()
        resample, flips = tr("Resample to the model's pixel size"), tr("Flip and turn (slower, better)")
        self.add_advanced(QgsProcessingParameterBoolean(self.RESAMPLE, resample, defaultValue=True))
        self.add_advanced(QgsProcessingParameterBoolean(self.FLIPS, flips, defaultValue=False))

    def _add_outputs(self) -> None:
        self.addParameter(QgsProcessingParameterRasterDestination(self.SURFACE, tr("Road surface"), optional=True))
        self.addParameter(
            QgsProcessingParameterRasterDestination(
                self.PROBABILITY, tr("Road probability"), optional=True, createByDefault=False
            )
        )
        # Most people ask for roads as areas; lines are one tick away.
        self.add_vector_outputs(centre_lines_by_default=False)

    def _take_raster(self, raster: QgsRasterLayer, parameters: Parameters, context: QgsProcessingContext) -> Raster:
        model = read_facts(self.parameterAsFile(parameters, self.MODEL, context))
        return self.take_raster(raster, parameters, context, usual_pixel=model.gsd if model else None)

    def _extent_in(
        self, raster: QgsRasterLayer, parameters: Parameters, context: QgsProcessingContext
    ) -> list[float] | None:
        """Return the extent in the raster's own coordinates, or None for the whole raster."""
        extent = self.parameterAsExtent(parameters, self.EXTENT, context, raster.crs())
        if extent.isNull():
            return None
        if extent.isEmpty() or not extent.intersects(raster.extent()):
            raise UnusableParameters(
                tr("The extent holds no part of the raster {}: draw it over the raster.").format(raster.name())
            )
        return [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()]

    def _check_bands(self, raster: QgsRasterLayer, parameters: Parameters, context: QgsProcessingContext) -> None:
        for band in self.parameterAsInts(parameters, self.BANDS, context):
            if not 1 <= band <= raster.bandCount():
                raise UnusableParameters(
                    tr("The raster {} has no band {}: choose from 1 to {}.").format(
                        raster.name(), band, raster.bandCount()
                    )
                )

    def _job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        area = self.feature_files(parameters, self.AREA, [self._raster], context, feedback)
        (raster,) = self.raster_files([self._raster], feedback)
        return {
            "kind": "detect",
            "raster": raster,
            "model": self.parameterAsFile(parameters, self.MODEL, context),
            "bands": self.parameterAsInts(parameters, self.BANDS, context),
            "nodata": self.optional_double(parameters, self.NODATA, context),
            "area": area,
            "extent": self._extent,
            "resample": self.parameterAsBoolean(parameters, self.RESAMPLE, context),
            "flips": self.parameterAsBoolean(parameters, self.FLIPS, context),
            **self.vector_numbers(parameters, context),
            "crs": self.optional_crs(parameters, context),
            "tile": self.optional_integer(parameters, self.TILE, context),
            "overlap": self.optional_integer(parameters, self.OVERLAP, context),
            "batch": self.optional_integer(parameters, self.BATCH, context),
            "device": self.parameterAsEnumString(parameters, self.DEVICE, context),
            "precision": self.parameterAsEnumString(parameters, self.PRECISION, context),
            **{key.lower(): self.output_path(parameters, key, context) for key in self._PRODUCTS},
            "cog": self.parameterAsBoolean(parameters, self.COG, context),
        }


def _described(model: str) -> str:
    facts, name = read_facts(model), Path(model).name
    return name if facts is None else f"{name} ({facts})"
