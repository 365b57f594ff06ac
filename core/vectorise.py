"""From a raster of roads, or of their probability, to outlines and centre lines for a map; without a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.windows import Window

from .errors import RasterError, SettingError
from .ground import is_on_ground, project_bounds
from .outputs import SURFACE_NODATA, StripWriter
from .rasters import RasterInfo, RasterReader
from .reporting import PartOfJob, Reporter
from .road_map import RoadMapSettings, VectorFiles, is_road, write_vectors
from .surface import check_surface, thinned_values

__all__ = ["check_vectorisable", "find_crs", "vectorise"]

_ROWS_AT_ONCE = 512
_THRESHOLD_SHARE = 0.3


def check_vectorisable(raster: RasterInfo) -> None:
    """Checks that a raster holds roads: 1, 0 and nodata, or a probability from 0 to 1.

    A thinned copy is looked at; `vectorise` finds the rest.

    Raises:
        RasterError: if it holds something else.
    """
    if len(raster.bands) > 1:
        raise RasterError(
            f"The raster {raster.name} has {len(raster.bands)} bands; choose one with a single band: "
            "1 road and 0 background, or the probability of road."
        )
    if _is_probability(raster):
        _check_probability(thinned_values(raster), raster)
    else:
        check_surface(raster)


def find_crs(text: str, raster: RasterInfo) -> CRS:
    """The coordinate reference system of a name, such as EPSG:25832.

    Raises:
        SettingError: if there is none, or the raster has no place in it.
    """
    try:
        crs = CRS.from_user_input(text)
        with rasterio.open(raster.path) as dataset:
            project_bounds(raster.crs, crs, dataset.bounds)
        if not is_on_ground(crs):
            raise CRSError("It has no axes along the ground.")
    except CRSError as error:
        raise SettingError(
            f"The coordinate reference system {text!r} is not known or has no place for {raster.name}; "
            "give one such as EPSG:25832."
        ) from error
    return crs


def vectorise(
    raster: RasterInfo,
    settings: RoadMapSettings,
    files: VectorFiles,
    reporter: Reporter,
    crs: CRS | None = None,
) -> None:
    """Writes outlines and centre lines of the roads in a raster; all the files appear at the end, or none.

    Args:
        raster: of 1 road, or of the probability of road.
        settings: the threshold counts for a probability.
        files: where to write.
        reporter: hears of the progress.
        crs: of the vectors; None for the raster's.

    Raises:
        RasterError: if the raster cannot be read, or holds a probability outside of 0 to 1.
        SettingError: if no file is asked for.
        CancelledError: where the user asked to stop.
    """
    if not files.paths:
        raise SettingError("No output is asked for; name a file for the outlines, the centre lines or both.")
    if not _is_probability(raster):
        write_vectors(Path(raster.path), None, files, settings.vectors, reporter, crs)
        return
    begin, rest = PartOfJob(reporter, 0, _THRESHOLD_SHARE), PartOfJob(reporter, _THRESHOLD_SHARE, 1)
    with _surface_of(raster, settings.threshold, files.paths[0].parent, begin) as surface:
        write_vectors(surface, Path(raster.path), files, settings.vectors, rest, crs)


def _is_probability(raster: RasterInfo) -> bool:
    return np.dtype(raster.dtype).kind == "f"


def _check_probability(values: npt.NDArray[np.generic], raster: RasterInfo) -> None:
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        outside = values.min() if values.min() < 0 else values.max()
        raise RasterError(
            f"The raster {raster.name} holds the value {outside:g}; a probability lies from 0 to 1 "
            "(declare as nodata what stands for none)."
        )


@contextmanager
def _surface_of(raster: RasterInfo, threshold: float, folder: Path, reporter: Reporter) -> Iterator[Path]:
    """A surface raster of a probability, in a folder beside the outputs that is removed at the end."""
    whole = Window(0, 0, raster.width, raster.height)
    with TemporaryDirectory(prefix=".surface-", dir=folder) as place, RasterReader() as reader:
        path = Path(place, "surface.tif")
        with StripWriter(path, raster, whole, "uint8", SURFACE_NODATA) as writer:
            for top in range(0, raster.height, _ROWS_AT_ONCE):
                reporter.progress(top / raster.height, "threshold")
                height = min(_ROWS_AT_ONCE, raster.height - top)
                (values,), valid = reader.read(raster, Window(0, top, raster.width, height), (height, raster.width))
                _check_probability(values[valid], raster)
                road = is_road(values, threshold).astype(np.uint8)
                writer.append(np.where(valid, road, np.uint8(SURFACE_NODATA)))
        yield path
