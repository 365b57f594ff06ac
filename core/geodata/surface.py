"""Checking road surfaces: rasters of 1 road, 0 background, 255 nodata."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import rasterio

from ..errors import RasterError
from ..labels import ROAD
from .outputs import SURFACE_NODATA
from .rasters import RasterInfo

__all__ = ["check_surface", "check_surface_values", "thinned_values"]

_SAMPLE = 512


def check_surface(raster: RasterInfo) -> None:
    """Checks by a thinned copy that the first band of a raster holds a road surface.

    Raises:
        RasterError: if it holds anything but road, background and nodata, or 255 where others hold 1.
    """
    values = thinned_values(raster)
    check_surface_values(values, raster)
    if SURFACE_NODATA in values and ROAD not in values:
        raise RasterError(
            f"The raster {raster.name} holds {SURFACE_NODATA} but no {ROAD}: in a road surface {ROAD} is road and "
            f"{SURFACE_NODATA} nodata. Make what is road {ROAD} (in QGIS: Raster > Raster Calculator), or declare "
            f"{SURFACE_NODATA} as the raster's nodata value."
        )


def check_surface_values(values: npt.NDArray[np.generic], raster: RasterInfo) -> None:
    """Checks that values of a raster are those of a road surface.

    Raises:
        RasterError: if one is not.
    """
    if (strange := np.setdiff1d(values, [0, ROAD, SURFACE_NODATA])).size:
        raise RasterError(
            f"The raster {raster.name} holds the value {strange[0]:g}; a road surface holds {ROAD} for road, "
            f"0 for background and {SURFACE_NODATA} for nodata. Make what is road {ROAD} and what is none 0 (in QGIS: "
            "Raster > Raster Calculator)."
        )


def thinned_values(raster: RasterInfo) -> npt.NDArray[np.generic]:
    """Values `(N,)` of a thinned copy of a raster's first band, without nodata.

    Raises:
        RasterError: if the file declares that its values stand for others.
    """
    shape = (min(_SAMPLE, raster.height), min(_SAMPLE, raster.width))
    with rasterio.open(raster.path) as dataset:
        scale, offset = dataset.scales[raster.bands[0] - 1], dataset.offsets[raster.bands[0] - 1]
        if (scale, offset) != (1, 0):
            raise RasterError(
                f"The raster {raster.name} declares that its values are to be multiplied by {scale:g}, and {offset:g} "
                "to be added; bring them to what they stand for (in QGIS: Raster > Conversion > Translate, with "
                "-unscale and the output type Float32)."
            )
        values = dataset.read(raster.bands[0], out_shape=shape, masked=True).compressed()
    finite: npt.NDArray[np.generic] = values[np.isfinite(values)]
    return finite
