"""Scores of a road-surface raster against drawn roads."""

from __future__ import annotations

from collections.abc import Sequence

from rasterio.windows import Window

from .annotations import VectorLayer, annotate
from .errors import AnnotationError
from .labels import IGNORE
from .metrics import Confusion, Scores, confusion
from .rasters import RasterInfo, RasterReader
from .reporting import Reporter

__all__ = ["evaluate_surface"]

_ROWS = 512


def evaluate_surface(
    surface: RasterInfo, roads: Sequence[VectorLayer], area: Sequence[VectorLayer], reporter: Reporter
) -> Scores:
    """Compares a surface raster (1 road, 0 background) with road polygons, inside an area if one is given.

    Raises:
        AnnotationError: if the area holds no pixel of the raster that was decided.
    """
    annotation = annotate(surface, roads, area)
    total = Confusion()
    with RasterReader() as reader:
        for row in range(0, surface.height, _ROWS):
            window = Window(0, row, surface.width, min(_ROWS, surface.height - row))
            shape = (window.height, window.width)
            pixels, valid = reader.read(surface, window, shape)
            labels = annotation.labels(window, shape)
            labels[~valid] = IGNORE
            total += confusion(pixels[0] == 1, labels)
            reporter.progress((row + window.height) / surface.height, f"row {row} of {surface.height}")
    if total.pixels == 0:
        raise AnnotationError(f"The area to compare in holds no pixel of {surface.name}; check the layers' positions.")
    return total.scores()
