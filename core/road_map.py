"""From a raster and a model to a road map: surface, probability, outlines, centre lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.crs import CRS
from rasterio.windows import Window
from shapely.affinity import affine_transform

from .ahead import map_ahead
from .detection import Team, slide
from .errors import OutsideError, RasterError, SettingError
from .files import all_written_whole, check_writable, folder_beside
from .geodata.bands import has_palette
from .geodata.grids import Grid, Scene, Strip
from .geodata.outputs import (
    PROBABILITY_NODATA,
    SURFACE_NODATA,
    StripWriter,
    check_raster_output,
    check_vector_output,
    optimise_for_cloud,
)
from .geodata.rasters import RasterInfo
from .images import Predictor
from .models.model_card import ModelCard
from .reporting import PartOfJob, Reporter
from .vectors.outlines import VectorSettings, write_outlines
from .windows import Tiling

__all__ = [
    "RoadMapFiles",
    "RoadMapSettings",
    "VectorFiles",
    "check_model_fits",
    "is_road",
    "make_road_map",
    "window_of_extent",
    "write_vectors",
]

_MOST_ENLARGED = 100  # times a side of a pixel, which no road shows in any more
_DETECTION_SHARE = 0.9
_OUTLINES_SHARE = 0.2
# Of the probabilities that are told: finer ones are noise of float32, two fifths of a compressed raster.
_STEP = 2**-16


@dataclass(frozen=True)
class VectorFiles:
    """Where vectors of the roads go.

    Attributes:
        outlines: polygons of the roads; or None.
        centre_lines: lines along the roads; or None.

    Raises:
        SettingError: if a file cannot be written.
    """

    outlines: Path | None = None
    centre_lines: Path | None = None

    def __post_init__(self) -> None:
        check_writable(*self.paths)
        for path in self.paths:
            check_vector_output(path)

    @property
    def paths(self) -> list[Path]:
        """Those that are asked for."""
        return [path for path in (self.outlines, self.centre_lines) if path is not None]

    def among(self, partials: Mapping[Path, Path]) -> VectorFiles:
        """The files that are written in the place of these until they are whole."""
        return VectorFiles(*(path and partials[path] for path in (self.outlines, self.centre_lines)))


@dataclass(frozen=True)
class RoadMapFiles:
    """Where the results go.

    Attributes:
        surface: raster of 1 road, 0 background, 255 nodata; or None.
        probability: raster of the probability of road, -1 nodata; or None.
        vectors: of the roads.
        cog: whether the rasters are Cloud Optimised GeoTIFFs.

    Raises:
        SettingError: if there is none, or a file cannot be written.
    """

    surface: Path | None = None
    probability: Path | None = None
    vectors: VectorFiles = VectorFiles()
    cog: bool = False

    def __post_init__(self) -> None:
        if not self.paths:
            raise SettingError("No output is asked for; name a file to write, or a folder.")
        check_writable(*self.rasters)  # the vectors have been, and cannot have their names
        for path in self.rasters:
            check_raster_output(path)

    @property
    def paths(self) -> list[Path]:
        """Those that are asked for."""
        return [*self.rasters, *self.vectors.paths]

    @property
    def rasters(self) -> list[Path]:
        """Those of them that are rasters."""
        return [path for path in (self.surface, self.probability) if path is not None]


@dataclass(frozen=True)
class RoadMapSettings:
    """How probabilities become roads.

    Attributes:
        threshold: from this probability on a pixel is road; above 0, up to 1.
        vectors: how roads become outlines and centre lines.

    Raises:
        SettingError: if the threshold lies outside of its range.
    """

    threshold: float
    vectors: VectorSettings

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise SettingError(f"The threshold must be above 0 and at most 1, got {self.threshold}.")


def check_model_fits(card: ModelCard, raster: RasterInfo, resample: bool) -> list[str]:
    """Checks a raster against what a model learned from.

    Args:
        card: of the model.
        raster: the raster.
        resample: whether the model sees it at the ground sampling distance that it learned at.

    Returns:
        What may spoil the result, a sentence each.

    Raises:
        RasterError: if the raster has another number of bands, or pixels that are far too large.
    """
    bands, learned = len(raster.bands), card.network.in_channels
    if bands != learned:
        count, way = "1 band" if bands == 1 else f"{bands} bands", _way_to_bands(raster, learned)
        raise RasterError(f"The raster {raster.name} has {count}, but the model learned from {learned}; {way}.")
    if resample and raster.gsd > _MOST_ENLARGED * card.gsd:
        raise RasterError(
            f"The pixels of {raster.name} are {raster.gsd:g} m wide, but the model learned at {card.gsd:g} m: that is "
            "too coarse for it; choose a finer raster, or another model."
        )
    warnings = []
    if raster.dtype != card.dtype:
        warnings.append(
            f"The raster {raster.name} holds values of type {raster.dtype}, but the model learned from {card.dtype}: "
            "its brightness may differ; where it does, rescale it first (in QGIS: Raster > Conversion > Translate, "
            "with -scale), or train a model on such rasters."
        )
    # Seen at the same scale, imagery like that of the training is as good as such of the model's own pixels.
    imagery = (resample and card.imagery_gsd) or card.gsd
    if not min(imagery, card.gsd) / 2 <= raster.gsd <= 2 * max(imagery, card.gsd):
        warnings.append(
            f"The pixels of {raster.name} are {raster.gsd:.2f} m wide, but the model learned from {imagery:.2f} m: "
            + ("even at the same scale, roads look different to it." if resample else "roads have another size to it.")
        )
    return warnings


def _way_to_bands(raster: RasterInfo, learned: int) -> str:
    """What to do about a raster with another number of bands than a model learned from."""
    if has_palette(raster):
        return "make bands of its palette's colours (in QGIS: Raster > Conversion > PCT to RGB)"
    ways = ["choose the bands that it learned from"]
    if len(raster.bands) == 1:
        # QGIS lets a band be chosen once.
        again = " ".join([f"-b {raster.bands[0]}"] * learned)
        how = f"in QGIS: Raster > Conversion > Translate, with {again}"
        ways.append(f"make {learned} of this one, with which it finds less ({how})")
    return ", ".join([*ways, "or train a model on such rasters"])


def window_of_extent(raster: RasterInfo, extent: tuple[float, float, float, float]) -> Window:
    """The whole pixels of a raster that an extent touches.

    Args:
        raster: the raster.
        extent: least x, least y, largest x, largest y in the raster's CRS.

    Raises:
        RasterError: if the extent is empty.
        OutsideError: if it lies outside of the raster.
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
        raise OutsideError(f"The extent {extent} lies outside of the raster {raster.name}.")
    return Window(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])


def make_road_map(
    grid: Grid,
    card: ModelCard,
    predict: Predictor,
    tiling: Tiling,
    settings: RoadMapSettings,
    files: RoadMapFiles,
    reporter: Reporter,
    crs: CRS | None = None,
    team: Team | None = None,
    release: Callable[[], None] | None = None,
) -> None:
    """Detects roads in a scene; all the files appear at the end, or none.

    Args:
        grid: the pixels that the network sees; the results have those of the raster.
        card: of the network.
        predict: the network.
        tiling: how the grid is cut.
        settings: what is road.
        files: where to write.
        reporter: hears of the progress.
        crs: of the vectors; None for the raster's.
        team: the processes that share the work, of which this is the first; None for this one alone.
        release: gives back what the network takes of memory, called before vectors are made; None for nothing.

    Raises:
        ModelFileError: if the network answers with what is no number.
        RasterError: if the raster cannot be read.
        SettingError: if a file that was there cannot be replaced any more.
        CancelledError: where the user asked to stop.
    """
    with ExitStack() as opened:
        partials = opened.enter_context(all_written_whole(files.paths))
        # Vectors are made of the surface, whether it is kept or not.
        surface_file = (
            partials[files.surface]
            if files.surface
            else opened.enter_context(folder_beside(files.paths[0])) / "surface.tif"
        )
        probability_file = files.probability and partials[files.probability]
        share = PartOfJob(reporter, 0, _DETECTION_SHARE if files.vectors.paths else 1)
        strips = slide(grid, card.normalisation, predict, tiling, share, team)
        _write_strips(strips, grid.scene, settings.threshold, surface_file, probability_file)
        if release and files.vectors.paths:
            release()
        rest = PartOfJob(reporter, _DETECTION_SHARE, 1)
        write_vectors(surface_file, probability_file, files.vectors.among(partials), settings.vectors, rest, crs)
        for raster in files.rasters if files.cog else ():
            optimise_for_cloud(partials[raster])


def is_road(probability: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.bool_]:
    """Where a probability reaches the threshold, but for what it may have been rounded by."""
    road: npt.NDArray[np.bool_] = probability >= threshold - _STEP / 2
    return road


def write_vectors(
    surface: Path | str,
    probability: Path | str | None,
    files: VectorFiles,
    settings: VectorSettings,
    reporter: Reporter,
    crs: CRS | None = None,
) -> None:
    """Writes what is asked for of outlines and centre lines.

    Args:
        surface: raster of 1 road.
        probability: raster of the probability of road on the same grid; or None.
        files: where to write.
        settings: of the vectors.
        reporter: hears of the progress, and how much was found.
        crs: of the vectors; None for the raster's.

    Raises:
        CancelledError: where the user asked to stop.
    """
    if files.outlines:
        part = PartOfJob(reporter, 0, _OUTLINES_SHARE if files.centre_lines else 1)
        count = write_outlines(surface, files.outlines, settings, part, crs, probability)
        reporter.info(f"Outlines of at least {settings.least_area:g} m²: {count}.")
    if files.centre_lines:
        # What takes scipy and scikit-image need not lie in memory beside a network.
        from .vectors.centre_lines import write_centre_lines

        part = PartOfJob(reporter, _OUTLINES_SHARE if files.outlines else 0, 1)
        part.progress(0, "centre lines")
        count = write_centre_lines(surface, files.centre_lines, settings, part, crs)
        reporter.info(f"Centre lines: {count}.")


def _write_strips(
    strips: Iterator[Strip], scene: Scene, threshold: float, surface_file: Path, probability_file: Path | None
) -> None:
    with ExitStack() as writers:
        surface = writers.enter_context(StripWriter(surface_file, scene.raster, scene.window, "uint8", SURFACE_NODATA))
        probability = probability_file and writers.enter_context(
            StripWriter(probability_file, scene.raster, scene.window, "float32", PROBABILITY_NODATA)
        )

        def write(strip: Strip) -> None:
            told = _rounded(strip.probability)
            road = is_road(told, threshold).astype(np.uint8)
            surface.append(np.where(strip.valid, road, np.uint8(SURFACE_NODATA)))
            if probability:
                probability.append(np.where(strip.valid, told, np.float32(PROBABILITY_NODATA)))

        # The next strip is made meanwhile.
        for _ in writers.enter_context(closing(map_ahead(write, strips, threads=1, ahead=1))):
            pass


def _rounded(probability: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities in steps: those that float32 has above 128."""
    place = np.float32(_STEP / np.finfo(np.float32).eps)
    rounded: npt.NDArray[np.float32] = probability + place
    rounded -= place
    return rounded
