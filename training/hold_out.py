"""Holds a part of the annotated area out of the training, to validate on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import compress

import numpy as np
import shapely

from ..core.errors import AnnotationError
from ..core.geodata.annotations import Annotation, are_near, on_ground
from ..core.geodata.rasters import RasterInfo
from .sources import Geometries

__all__ = ["held_out_at", "hold_out"]

_HELD_OUT = 0.1
_MOST_BLOCKS = 32  # some 300 windows: more would tell little more, and of a county take longer than all the steps
_LEAST_UNITS = 10
_RIM = 0.5  # pixels

_Unit = tuple[RasterInfo, shapely.Geometry]


def hold_out(
    annotations: Mapping[RasterInfo, Annotation], side: float, rng: np.random.Generator
) -> tuple[dict[RasterInfo, Annotation], dict[RasterInfo, Annotation]]:
    """Splits the annotated area into what is learned from and what to validate on: a tenth, one block at least.

    Of a large area it is less: as much as `_MOST_BLOCKS` blocks of whole size.

    Blocks are parts of the area, cut where they are much larger than `side`, and cut finer where that gives
    too few of them; those that show a road are cut until both sides see one.

    Args:
        annotations: by raster; the areas are in pixels of their raster.
        side: what blocks are cut to, in metres.
        rng: which blocks are held out.

    Returns:
        The annotations with the areas to learn from, and with those held out, without rasters that have none. Where
        rasters show the same ground, what is held out of one is learned from in none.

    Raises:
        AnnotationError: if the area or the roads are too small to be cut.
    """
    finest = min(min(raster.pixel) for raster in annotations)
    most = _MOST_BLOCKS * side**2
    units = _units(annotations, side)
    while len(units) < _LEAST_UNITS and side > finest:
        side /= 2
        units = _units(annotations, side)
    if len(units) < 2:
        raise AnnotationError("The annotated area is too small to hold a part of it out for validation; draw more.")
    while True:
        showing = _with_road(units, annotations)
        if len(showing) >= 2:
            training, held_out = _split(units, _choose(units, showing, most, rng), annotations)
            # What several rasters show of a road may all be held out with one of them.
            if _with_road(_parts(training), annotations):
                return training, held_out
        if side <= finest:
            raise AnnotationError("The roads are too small to hold a part of them out for validation; draw more.")
        side /= 2
        units = [
            (raster, piece)
            for k, (raster, block) in enumerate(units)
            for piece in (_cut(raster, block, side) if k in showing else [block])
        ]


def held_out_at(raster: RasterInfo, held_out: Collection[tuple[RasterInfo, Annotation]]) -> Geometries:
    """The ground that is held out of any of some rasters, which may show the same place, in the pixels of one."""
    near = are_near(raster, [other for other, _ in held_out])
    found = [on_ground(held.area.geometries, other).in_pixels(raster) for other, held in compress(held_out, near)]
    polygons: Geometries = np.concatenate([np.zeros(0, dtype=object), *found])
    return polygons


def _units(annotations: Mapping[RasterInfo, Annotation], side: float) -> list[_Unit]:
    return [(raster, block) for raster, part in _parts(annotations) for block in _cut(raster, part, side)]


def _parts(annotations: Mapping[RasterInfo, Annotation]) -> list[_Unit]:
    return [(raster, part) for raster, annotation in annotations.items() for part in annotation.area.geometries]


def _cut(raster: RasterInfo, part: shapely.Geometry, side: float) -> list[shapely.Geometry]:
    """A polygon cut by a grid of equal cells, each at least `side` metres wide, or as it is where it is smaller."""
    left, top, right, bottom = shapely.bounds(part)
    width, height = (max(1, round(side / size)) for size in raster.pixel)
    across, down = max(1, int((right - left) // width)), max(1, int((bottom - top) // height))
    if across == down == 1:
        return [part]
    xs, ys = np.linspace(left, right, across + 1), np.linspace(top, bottom, down + 1)
    cells = [shapely.box(xs[i], ys[j], xs[i + 1], ys[j + 1]) for j in range(down) for i in range(across)]
    pieces = shapely.get_parts(shapely.intersection(part, cells))
    return [piece for piece in pieces if piece.area > 0]


def _choose(units: Sequence[_Unit], showing: set[int], most: float, rng: np.random.Generator) -> set[int]:
    """Blocks at random while all are at most a tenth of the area, `most` square metres, and half of those with a road.

    The first shows one, however large it is.
    """
    areas = np.array([block.area * raster.gsd**2 for raster, block in units])
    most = min(most, _HELD_OUT * areas.sum())
    order = rng.permutation(len(units)).tolist()
    # Where every block that shows a road is larger than a tenth, the smallest is the least loss.
    small = [k for k in order if k in showing and areas[k] <= most]
    first = small[0] if small else min(showing, key=lambda k: float(areas[k]))
    chosen, held_out, roads = {first}, areas[first], 1
    for k in order:
        shows = k in showing
        if k != first and held_out + areas[k] <= most and (not shows or 2 * (roads + 1) <= len(showing)):
            chosen.add(k)
            held_out += areas[k]
            roads += shows
    return chosen


def _with_road(units: Sequence[_Unit], annotations: Mapping[RasterInfo, Annotation]) -> set[int]:
    """The numbers of the blocks that show a road, not just touch it."""
    insides = shapely.buffer([block for _, block in units], -_RIM, join_style="mitre")
    return {
        k
        for k, ((raster, _), inside) in enumerate(zip(units, insides, strict=True))
        if len(annotations[raster].roads.query(inside, predicate="intersects"))
    }


def _elsewhere(raster: RasterInfo, annotation: Annotation, held_out: Mapping[RasterInfo, Annotation]) -> Annotation:
    """A raster's annotation without the ground that is held out of other rasters."""
    others = [(other, held) for other, held in held_out.items() if other is not raster]
    area = shapely.difference(annotation.area.geometries, shapely.union_all(held_out_at(raster, others)))
    parts = shapely.get_parts(area)
    return annotation.inside(parts[shapely.area(parts) > 0])


def _split(
    units: Sequence[_Unit], chosen: set[int], annotations: Mapping[RasterInfo, Annotation]
) -> tuple[dict[RasterInfo, Annotation], dict[RasterInfo, Annotation]]:
    """What is learned from, and the chosen units, which are held out."""
    held_out = _grouped([units[k] for k in sorted(chosen)], annotations)
    training = _grouped([unit for k, unit in enumerate(units) if k not in chosen], annotations)
    training = {raster: _elsewhere(raster, annotation, held_out) for raster, annotation in training.items()}
    return {raster: annotation for raster, annotation in training.items() if len(annotation.area.geometries)}, held_out


def _grouped(units: Sequence[_Unit], annotations: Mapping[RasterInfo, Annotation]) -> dict[RasterInfo, Annotation]:
    """The blocks of each raster that has any, joined where they touch, as the area of its annotation."""
    grouped: dict[RasterInfo, list[shapely.Geometry]] = {}
    for raster, block in units:
        grouped.setdefault(raster, []).append(block)
    return {
        raster: annotations[raster].inside(shapely.get_parts(shapely.disjoint_subset_union_all(blocks)))
        for raster, blocks in grouped.items()
    }
