"""Export to ONNX: a model file to a file that the plugin Deepness and other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
)

from ..client import run_job
from ..errors import UnusableParameters
from ..resources import short_help, tr
from .base import TILE_STEP, Parameters, SslkdAlgorithm, number, threshold

_EXTENSION = ".onnx"


class ExportOnnx(SslkdAlgorithm):
    """Hands a trained student to other programs."""

    OUTPUT = "OUTPUT"

    def name(self) -> str:
        """Return the id; models and scripts depend on it."""
        return "exportonnx"

    def displayName(self) -> str:
        """Return the name shown in the Toolbox."""
        return tr("Export to ONNX")

    def tags(self) -> list[str]:
        """Return the words that find it in the Toolbox."""
        return tr("roads,export,onnx,deepness,deep learning,model,convert,share,onnxruntime").split(",")

    def shortDescription(self) -> str:
        """Return the tool tip."""
        return tr("Writes a model as an ONNX file, which the plugin Deepness and other programs run")

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return short_help(
            self.name(),
            tr(
                "Writes a model that <i>Train SSLKD</i> made as an ONNX file, which other programs run: "
                "the plugin <i>Deepness</i>, which needs no Set up SSLKD, or any that has ONNX Runtime.\n\n"
                "<b>Model file</b>: as <i>Train SSLKD</i> made it.\n\n"
                "The advanced parameters are where Deepness starts from; all but the tile can be changed there.\n"
                "<b>Tile</b>: the side of the images that the file takes.\n"
                "<b>Overlap of tiles</b>: what neighbouring tiles share; without a number, a quarter of the tile.\n"
                "<b>Threshold</b>: a pixel is road from this probability on.\n"
                "<b>Least area</b>: smaller patches are smoothed away. Deepness does so with a median filter, "
                "which also takes roads narrower than 0.7 times the side of a square of this area; 0 turns it off.\n\n"
                "The <b>ONNX file</b> takes the values of the raster divided by 255, "
                "in the bands and at the pixel size "
                "that the model learned from, and gives the probability of road. "
                "In Deepness, choose it as the model, load the default parameters, which lie in the file, and run.\n\n"
                "Deepness looks at 8 bits, does not blend its tiles, and takes nodata for imagery: "
                "where this plugin runs, <i>Detect roads</i> gives more."
            ),
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters and outputs."""
        self.add_model()
        self.add_advanced(
            QgsProcessingParameterNumber(
                self.TILE, tr("Tile (pixels, a multiple of 32)"), defaultValue=512, minValue=TILE_STEP
            )
        )
        self.add_overlap()
        self.add_advanced(threshold(self.THRESHOLD))
        self.add_advanced(number(self.LEAST_AREA, tr("Least area (square metres)"), 5.0))
        self.addParameter(
            QgsProcessingParameterFileDestination(
                self.OUTPUT, tr("ONNX file"), fileFilter=tr("ONNX files") + f" (*{_EXTENSION})"
            )
        )

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Raise an error if the parameters make no sense."""
        super().check(parameters, context)
        self.check_model(parameters, context)
        output = self.parameterAsFileOutput(parameters, self.OUTPUT, context)
        if Path(output).suffix.lower() != _EXTENSION:
            raise UnusableParameters(tr("The ONNX file {} must end in {}.").format(output, _EXTENSION))
        self.check_overlap(parameters, context)

    def take_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """There are none."""

    def process(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Export in the worker."""
        job = self._job(parameters, context)
        run_job(job, feedback)
        return {self.OUTPUT: job["onnx"]}

    def _job(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        return {
            "kind": "export",
            "model": self.parameterAsFile(parameters, self.MODEL, context),
            "onnx": self.parameterAsFileOutput(parameters, self.OUTPUT, context),
            "tile": self.parameterAsInt(parameters, self.TILE, context),
            "overlap": self.optional_integer(parameters, self.OVERLAP, context),
            "threshold": self.parameterAsDouble(parameters, self.THRESHOLD, context),
            "least_area": self.parameterAsDouble(parameters, self.LEAST_AREA, context),
        }
