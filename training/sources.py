"""Where windows lie: rasters with what is known of them, to draw windows from and to score on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.windows import Window

from ..core.geodata.annotations import Annotation
from ..core.geodata.rasters import RasterInfo
from ..core.labels import IGNORE, Labels

__all__ = [
    "Bounds",
    "Geometries",
    "LabelSource",
    "LabelledWindow",
    "Source",
    "centres",
    "source_of",
    "windows_of_parts",
    "windows_over",
    "within",
]

_SURROUNDINGS = 0.25  # of a window's side that are seen and not scored: as much as the tiles of detection overlap

Bounds = npt.NDArray[np.float64]
Geometries = npt.NDArray[np.object_]


class LabelSource(Protocol):
    """What knows the labels of a raster."""

    def labels(self, window: Window, shape: tuple[int, int]) -> Labels:
        """Labels `(H, W)` of a window resampled to `shape`: 1 road, 0 background, 255 unlabelled."""
        ...


@dataclass(frozen=True, eq=False)
class Source:
    """A raster that windows are drawn from.

    Attributes:
        raster: the raster.
        shape: rows and columns of a window, in pixels of the raster; other than the tile's where their sizes differ.
        annotation: what is known of it; of an unlabelled source, where not to look.
        regions: polygons `(N,)` to draw windows from, in pixels.
        held_out: polygons `(M,)`, in pixels, of which nothing is learned, not as unlabelled imagery either.
    """

    raster: RasterInfo
    shape: tuple[int, int]
    annotation: LabelSource
    regions: Geometries
    held_out: Geometries = field(default_factory=lambda: np.zeros(0, dtype=object))

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """Area on the ground of each region, in square metres."""
        sizes: npt.NDArray[np.float64] = shapely.area(self.regions) * self.raster.gsd**2
        return sizes

    def mirrored(self, cells: Labels, window: Window) -> Labels:
        """What is known of the cells `(H, W)` of a window, and beyond the raster of the mirror image seen there."""
        rows = _seen_along(window.row_off, window.height, cells.shape[0], self.raster.height)
        columns = _seen_along(window.col_off, window.width, cells.shape[1], self.raster.width)
        return cells[np.ix_(rows, columns)]


@dataclass(frozen=True)
class LabelledWindow:
    """A window to score on; the source's annotation is of what is to be scored there alone.

    Attributes:
        source: where the window lies.
        window: what the network sees.
        scored: the part of it that is scored, in whole pixels.
    """

    source: Source
    window: Window
    scored: Window

    def labels(self, tile: int) -> Labels:
        """Labels `(tile, tile)`: 1 road, 0 background, 255 unlabelled or not scored."""
        labels = self.source.annotation.labels(self.window, (tile, tile))
        (top, bottom), (left, right) = self.scored.toranges()
        rows = centres(self.window.row_off, self.window.height, tile)
        columns = centres(self.window.col_off, self.window.width, tile)
        labels[(rows < top) | (rows >= bottom)] = IGNORE
        labels[:, (columns < left) | (columns >= right)] = IGNORE
        return labels


def source_of(
    raster: RasterInfo, annotation: LabelSource, gsd: float, tile: int, regions: Geometries | None = None
) -> Source:
    """A source of windows of `tile` pixels of `gsd` metres, drawn from regions, or from the whole raster."""
    width, height = (tile if raster.is_of(gsd) else max(1, round(tile * gsd / size)) for size in raster.pixel)
    whole = np.array([shapely.box(0, 0, raster.width, raster.height)])
    return Source(raster, (height, width), annotation, whole if regions is None else regions)


def windows_over(source: Source) -> list[LabelledWindow]:
    """Windows that cover every region of a source, to score on; each shows more than it scores, as in detection."""
    windows = []
    height, width = source.shape
    for left, top, right, bottom in shapely.bounds(source.regions).tolist():
        rows = list(_scored_along(top, bottom, height, source.raster.height))
        columns = list(_scored_along(left, right, width, source.raster.width))
        windows += [
            LabelledWindow(source, Window(column, row, width, height), Window.from_slices(down, across))
            for row, down in rows
            for column, across in columns
        ]
    return windows


def _scored_along(low: float, high: float, side: int, size: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Where windows begin along an axis, within a raster's size if they can, and from where to where each is scored."""
    begin, end = math.floor(low), math.ceil(high)
    count = math.ceil((end - begin) / (side * (1 - _SURROUNDINGS))) if size > side else 1
    edges = np.linspace(begin, end, count + 1).round().astype(int)
    for first, last in pairwise(edges.tolist()):
        yield within((first + last - side) // 2, side, size), (first, last)


def windows_of_parts(raster: RasterInfo, annotation: Annotation, gsd: float, tile: int) -> list[LabelledWindow]:
    """Windows over the parts of an annotated area, each with the labels of its own part: no pixel is scored twice."""
    parts = [np.array([part]) for part in annotation.area.geometries]
    sources = [source_of(raster, annotation.inside(part), gsd, tile, part) for part in parts]
    return [window for source in sources for window in windows_over(source)]


def centres(offset: float, extent: float, count: int) -> npt.NDArray[np.float64]:
    """Where the centres of `count` cells lie, side by side along an axis from an offset over an extent."""
    return offset + (np.arange(count) + 0.5) * extent / count


def _seen_along(offset: float, extent: float, count: int, size: int) -> npt.NDArray[np.intp]:
    """Which of `count` cells over an extent hold the pixels that each shows, of `size` along an axis and mirrored."""
    places = centres(offset, extent, count) % (2 * size)
    inside = np.minimum(places, 2 * size - places)
    return ((inside - offset) * count // extent).astype(np.intp)


def within(offset: int, side: int, size: int) -> int:
    """Where a window begins along an axis, moved into a raster's size if it can be."""
    return min(max(offset, 0), max(size - side, 0))
