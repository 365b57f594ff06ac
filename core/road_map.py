"""From a raster and a model to a road map: surface, probability, outlines."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from rasterio.windows import Window
from shapely.affinity import affine_transform

from .detection import Predictor, slide
from .errors import RasterError, SettingError
from .files import check_writable, written_whole
from .model_file import ModelCard
from .outputs import PROBABILITY_NODATA, SURFACE_NODATA, StripWriter, check_vector_output, write_outlines
from .rasters import RasterInfo
from .reporting import PartOfJob, Reporter
from .windows import Tiling

__all__ = ["RoadMapFiles", "RoadMapSettings", "check_model_fits", "make_road_map", "window_of_extent"]

_DETECTION_SHARE = 0.9
# What blending in float32 leaves of rounding; it would speckle roads whose probability is the threshold itself.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class RoadMapFiles:
    """Where the results go.

    Attributes:
        surface: raster of 1 road, 0 background, 255 nodata.
        probability: raster of the probability of road, -1 nodata; or None.
        outlines: polygons of the roads; or None.

    Raises:
        SettingError: if a file cannot be written.
    """

    surface: Path
    probability: Path | None
    outlines: Path | None

    def __post_init__(self) -> None:
        check_writable(*(path for path in (self.surface, self.probability, self.outlines) if path is not None))
        if self.outlines is not None:
            check_vector_output(self.outlines)


@dataclass(frozen=True)
class RoadMapSettings:
    """How probabilities become roads.

    Attributes:
        threshold: from this probability on a pixel is road; above 0, up to 1.
        least_area: smaller outlines are left out, in square metres.
        tolerance: of the outlines' simplification, in metres; 0 keeps the pixels' edges.

    Raises:
        SettingError: if a number lies outside of its range.
    """

    threshold: float
    least_area: float
    tolerance: float

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise SettingError(f"The threshold must be above 0 and at most 1, got {self.threshold}.")
        if self.least_area < 0:
            raise SettingError(f"The least area must be 0 square metres or more, got {self.least_area}.")
        if self.tolerance < 0:
            raise SettingError(f"The simplification must be 0 metres or more, got {self.tolerance}.")


def check_model_fits(card: ModelCard, raster: RasterInfo) -> list[str]:
    """Checks a raster against what a model learned from.

    Returns:
        What may spoil the result, a sentence each.

    Raises:
        RasterError: if the raster has another number of bands.
    """
    bands = len(raster.bands)
    if bands != card.network.in_channels:
        raise RasterError(
            f"The raster {raster.name} has {bands} bands, but the model learned from {card.network.in_channels}; "
            "choose a raster with the same bands, or train a model on such rasters."
        )
    warnings = []
    if raster.dtype != card.dtype:
        warnings.append(
            f"The raster {raster.name} holds values of type {raster.dtype}, but the model learned from {card.dtype}: "
            "its brightness may differ."
        )
    if not 0.5 <= raster.gsd / card.gsd <= 2:
        warnings.append(
            f"The pixels of {raster.name} are {raster.gsd:.2f} m wide, but the model learned at {card.gsd:.2f} m: "
            "roads look much larger or smaller to it."
        )
    return warnings


def window_of_extent(raster: RasterInfo, extent: tuple[float, float, float, float]) -> Window:
    """The whole pixels of a raster that an extent touches.

    Args:
        raster: the raster.
        extent: least x, least y, largest x, largest y in the raster's CRS.

    Raises:
        RasterError: if the extent is empty or lies outside of the raster.
    """
    left, bottom, right, top = extent
    if not (left < right and bottom < top):
        raise RasterError(f"The extent {extent} is empty: its largest coordinates must be above its least ones.")
    in_pixels = affine_transform(shapely.box(left, bottom, right, top), (~raster.transform).to_shapely())
    first_column, first_row, last_column, last_row = in_pixels.bounds
    # Rounding absorbs what reprojecting and decimal coordinates leave behind.
    columns = (max(0, math.floor(first_column + 1e-3)), min(raster.width, math.ceil(last_column - 1e-3)))
    rows = (max(0, math.floor(first_row + 1e-3)), min(raster.height, math.ceil(last_row - 1e-3)))
    if columns[0] >= columns[1] or rows[0] >= rows[1]:
        raise RasterError(f"The extent {extent} lies outside of the raster {raster.name}.")
    return Window(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])


def make_road_map(
    raster: RasterInfo,
    window: Window,
    card: ModelCard,
    predict: Predictor,
    tiling: Tiling,
    settings: RoadMapSettings,
    files: RoadMapFiles,
    reporter: Reporter,
) -> None:
    """Detects roads in a window of a raster; all the files appear at the end, or none.

    Raises:
        RasterError: if the raster cannot be read.
        CancelledError: where the user asked to stop.
    """
    with ExitStack() as outputs:
        surface_file = outputs.enter_context(written_whole(files.surface))
        probability_file = files.probability and outputs.enter_context(written_whole(files.probability))
        outlines_file = files.outlines and outputs.enter_context(written_whole(files.outlines))
        with ExitStack() as writers:
            surface = writers.enter_context(StripWriter(surface_file, raster, window, "uint8", SURFACE_NODATA))
            probability = probability_file and writers.enter_context(
                StripWriter(probability_file, raster, window, "float32", PROBABILITY_NODATA)
            )
            share = PartOfJob(reporter, 0, _DETECTION_SHARE if files.outlines else 1)
            for strip in slide(raster, window, card.normalisation, predict, tiling, share):
                road = (strip.probability >= settings.threshold - _ROUNDING).astype(np.uint8)
                surface.append(np.where(strip.valid, road, np.uint8(SURFACE_NODATA)))
                if probability:
                    probability.append(np.where(strip.valid, strip.probability, np.float32(PROBABILITY_NODATA)))
        if outlines_file:
            reporter.progress(_DETECTION_SHARE, "outlines")
            count = write_outlines(surface_file, outlines_file, settings.least_area, settings.tolerance)
            reporter.info(f"{count} outlines of at least {settings.least_area:g} m².")
