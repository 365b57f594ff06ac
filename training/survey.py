"""What is looked at of rasters before a training: where they hold data, and how bright they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from ..core.errors import RasterError
from ..core.geodata.rasters import RasterInfo, RasterReader
from ..core.images import Normalisation, Pixels

__all__ = ["cells_with_data", "measure_normalisation"]

_SAMPLED_SIDE, _SAMPLED_WINDOWS = 64, 256  # pixels, and windows of all rasters together: a million values a band


def cells_with_data(raster: RasterInfo, cell: tuple[float, float], reader: RasterReader) -> npt.NDArray[np.int64]:
    """Rows and columns `(N, 2)` of the cells of a grid that hold data in a thinned copy of a raster.

    Args:
        raster: which raster.
        cell: height and width of a cell, in pixels; the first lies in the upper left corner.
        reader: reads the raster.

    Raises:
        RasterError: if the raster cannot be read.
    """
    valid = reader.thinned_validity(raster)
    rows, columns = np.nonzero(valid)
    down = (rows + 0.5) * raster.height / valid.shape[0] // cell[0]
    right = (columns + 0.5) * raster.width / valid.shape[1] // cell[1]
    across = math.ceil(raster.width / cell[1])
    numbers = np.unique((down * across + right).astype(np.int64))
    return np.column_stack(np.divmod(numbers, across))


def measure_normalisation(rasters: Sequence[RasterInfo], reader: RasterReader) -> Normalisation:
    """The paper's 0.5 and 0.5 for 8-bit imagery; else centre and half range of the middle 98 % of the values.

    Raises:
        RasterError: if the rasters hold no valid pixel.
    """
    bands = len(rasters[0].bands)
    if rasters[0].dtype == "uint8":
        return Normalisation.of_bytes(bands)
    windows = math.ceil(_SAMPLED_WINDOWS / len(rasters))
    samples = np.concatenate([_sample(raster, reader, windows) for raster in rasters], axis=1)
    if samples.shape[1] == 0:
        raise RasterError("The rasters hold no valid pixel: all is nodata.")
    mean, std = zip(*map(_centre_and_half_range, samples), strict=True)
    return Normalisation(mean, std)


def _centre_and_half_range(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Of the middle 98 % of a band's values `(N,)`; of all of them, or of their type, where those are one value."""
    for least in (1, 0):
        low, high = map(float, np.percentile(values, (least, 100 - least)))
        centre, half_range = (low + high) / 2, (high - low) / 2
        if half_range > np.finfo(np.float32).eps * abs(centre):
            return centre, half_range
    return centre, float(np.iinfo(values.dtype).max) / 2 if values.dtype.kind in "iu" else 1.0


def _sample(raster: RasterInfo, reader: RasterReader, most: int) -> Pixels:
    """Valid pixels `(C, N)` of some windows of a raster, as they are: the means of a thinned copy vary less."""
    corners = cells_with_data(raster, (_SAMPLED_SIDE, _SAMPLED_SIDE), reader) * _SAMPLED_SIDE
    chosen = np.random.default_rng(0).choice(len(corners), min(most, len(corners)), replace=False)
    samples = [np.empty((len(raster.bands), 0), raster.dtype)]
    for top, left in corners[np.sort(chosen)].tolist():
        height, width = min(_SAMPLED_SIDE, raster.height - top), min(_SAMPLED_SIDE, raster.width - left)
        pixels, valid = reader.read(raster, Window(left, top, width, height), (height, width))
        samples.append(pixels[:, valid])
    return np.concatenate(samples, axis=1)
