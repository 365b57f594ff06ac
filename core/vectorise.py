"""From a raster of roads, their probability or classes to outlines and centre lines for a map; without a model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.crs import CRS
from rasterio.windows import Window

from .errors import RasterError, SettingError
from .files import all_written_whole, folder_beside
from .geodata.outputs import SURFACE_NODATA, StripWriter
from .geodata.rasters import RasterInfo, RasterReader, has_mask
from .geodata.surface import check_surface, thinned_values
from .images import Mask
from .labels import ROAD
from .reporting import PartOfJob, Reporter
from .road_map import RoadMapSettings, VectorFiles, is_road, write_vectors

__all__ = ["check_vectorisable", "vectorise"]

_ROWS_AT_ONCE = 512
_SURFACE_SHARE = 0.3
_OVERSHOOT = 0.25  # the most, at corners, of what was 0 and 1 before it was resampled by a kernel such as Lanczos'

_Roads = Callable[[npt.NDArray[Any]], Mask]
"""Tells which of some values `(N,)` are road."""


def check_vectorisable(raster: RasterInfo, road_class: int | None = None) -> None:
    """Checks that a raster holds roads: 1, 0 and nodata, or a probability from 0 to 1, or any classes if one is road.

    A thinned copy is looked at; `vectorise` finds the rest.

    Raises:
        RasterError: if it holds something else.
    """
    if len(raster.bands) > 1:
        raise RasterError(
            f"The raster {raster.name} has {len(raster.bands)} bands; choose one with a single band: "
            "1 road and 0 background, the probability of road, or classes."
        )
    if road_class is not None:
        return
    try:
        if _is_probability(raster):
            _check_probability(thinned_values(raster), raster)
        else:
            check_surface(raster)
    except RasterError as error:
        raise RasterError(f"{error} If these are classes, give the road class.") from None


def vectorise(
    raster: RasterInfo,
    settings: RoadMapSettings,
    files: VectorFiles,
    reporter: Reporter,
    crs: CRS | None = None,
    road_class: int | None = None,
) -> None:
    """Writes outlines and centre lines of the roads in a raster; all the files appear at the end, or none.

    Args:
        raster: of 1 road, of the probability of road, or of classes.
        settings: the threshold counts for a probability.
        files: where to write.
        reporter: hears of the progress, and of a raster without the class.
        crs: of the vectors; None for the raster's.
        road_class: the class that is road; None for a raster of 1 road or of the probability.

    Raises:
        RasterError: if the raster cannot be read, or holds a probability outside of 0 to 1.
        SettingError: if no file is asked for, or one that was there cannot be replaced any more.
        CancelledError: where the user asked to stop.
    """
    if not files.paths:
        raise SettingError("No output is asked for; name a file for the outlines, the centre lines or both.")
    if road_class is not None:
        roads, probability = _of_class(road_class), None
    elif _is_probability(raster):
        roads, probability = _of_probability(raster, settings.threshold), raster.path
    elif has_mask(raster):
        # Vectors are made of values alone.
        roads, probability = _of_class(ROAD), None
    else:
        roads, probability = None, None
    with ExitStack() as opened:
        partial = files.among(opened.enter_context(all_written_whole(files.paths)))
        if roads is None:
            write_vectors(raster.path, None, partial, settings.vectors, reporter, crs)
            return
        begin, rest = PartOfJob(reporter, 0, _SURFACE_SHARE), PartOfJob(reporter, _SURFACE_SHARE, 1)
        surface = opened.enter_context(folder_beside(files.paths[0])) / "surface.tif"
        found = _write_surface(surface, raster, roads, begin)
        if road_class is not None and not found:
            reporter.warning(f"No pixel of the raster {raster.name} is of the class {road_class}.")
        write_vectors(surface, probability, partial, settings.vectors, rest, crs)


def _is_probability(raster: RasterInfo) -> bool:
    return np.dtype(raster.dtype).kind == "f"


def _check_probability(values: npt.NDArray[np.generic], raster: RasterInfo) -> None:
    lowest, highest = values.min(initial=0), values.max(initial=1)
    if not (lowest >= -_OVERSHOOT and highest <= 1 + _OVERSHOOT):
        outside = lowest if lowest < -_OVERSHOOT else highest
        raise RasterError(
            f"The raster {raster.name} holds the value {outside:g}; a probability lies from 0 to 1 "
            "(declare as nodata what stands for none)."
        )


def _of_class(road_class: int) -> _Roads:
    return lambda values: values == road_class


def _of_probability(raster: RasterInfo, threshold: float) -> _Roads:
    def roads(values: npt.NDArray[Any]) -> Mask:
        _check_probability(values, raster)
        return is_road(values, threshold)

    return roads


def _write_surface(path: Path, raster: RasterInfo, roads: _Roads, reporter: Reporter) -> bool:
    """Writes a raster of 1 road, 0 background and 255 nodata; returns whether there is any road."""
    found = False
    with RasterReader() as reader, StripWriter(path, raster, raster.window, "uint8", SURFACE_NODATA) as writer:
        for top in range(0, raster.height, _ROWS_AT_ONCE):
            reporter.progress(top / raster.height, "road surface")
            height = min(_ROWS_AT_ONCE, raster.height - top)
            (values,), valid = reader.read(raster, Window(0, top, raster.width, height), (height, raster.width))
            surface = np.full(valid.shape, SURFACE_NODATA, np.uint8)
            surface[valid] = roads(values[valid])
            found |= ROAD in surface
            writer.append(surface)
    return found
