"""A map of what a training learned from: where roads were drawn, what was held out, and imagery without labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from shapely import STRtree

from ...core.geodata.annotations import Annotation
from ...core.geodata.ground import metres_per_unit
from ...core.geodata.rasters import RasterInfo
from ..data import TrainingData
from ..sources import Geometries, Source

__all__ = ["Place", "area_map", "places"]

_MOST_PANELS = 6
_MOST_NUMBERED = 100  # rasters of a map: the numbers of more would hide it
_DETAILS = 2000  # per side of a map; what is smaller is not drawn
_COLOURS = {
    "unlabelled": ("#e8e8e8", "", "imagery without labels, learned from"),
    "labelled": ("#56b4e9", "", "labelled: learned from"),
    "held_out": ("#e69f00", "///", "labelled, but held out for validation"),
    "roads": ("#000000", "", "drawn roads"),
}
"""By part: colours that are told apart in grey and by the colour-blind, hatches, and what the legend says."""


@dataclass(frozen=True)
class Place:
    """What a raster is to a training, in its pixel coordinates.

    Attributes:
        raster: the raster.
        labelled: the annotated area that is learned from.
        held_out: the annotated area that is validated on.
        unlabelled: the imagery that is learned from without labels.
        roads: the drawn roads, inside of the annotated area.
    """

    raster: RasterInfo
    labelled: shapely.Geometry
    held_out: shapely.Geometry
    unlabelled: shapely.Geometry
    roads: shapely.Geometry

    def square_metres(self, part: str) -> float:
        """The area of a part on the ground."""
        area: float = getattr(self, part).area * self.raster.gsd**2
        return area


def places(data: TrainingData) -> list[Place]:
    """Every raster of a training, the labelled ones first."""
    held_out = dict.fromkeys(window.source for window in data.validation)
    uses = [_by_raster(sources) for sources in (data.labelled, held_out, data.unlabelled)]
    return [_place(raster, *(use.get(raster, []) for use in uses)) for raster in data.rasters]


def area_map(shown: Sequence[Place]) -> Figure:
    """Maps, north up and to scale, of the rasters in their coordinate reference systems; one for each neighbourhood.

    Of more than six neighbourhoods, those with the largest labelled areas are drawn.
    """
    groups = sorted(_neighbourhoods(shown), key=lambda group: -sum(each.square_metres("labelled") for each in group))
    groups = groups[:_MOST_PANELS]
    numbers = {each.raster: str(number) for number, each in enumerate(shown, start=1)}
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    tallest = max(map(_tallness, groups))
    height = min(10.0, max(2.5, (8.5 if columns == 1 else 4.2) * tallest))
    figure = Figure(figsize=(10, 1.3 + (0.8 + height) * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, group in zip(grid, groups, strict=False):
        _draw(axes, group, numbers)
    for axes in list(grid)[len(groups) :]:
        axes.set_axis_off()
    drawn = [part for part in _COLOURS if any(not getattr(each, part).is_empty for group in groups for each in group)]
    legend = [Patch(facecolor=_COLOURS[k][0], hatch=_COLOURS[k][1], label=_COLOURS[k][2]) for k in drawn]
    legend.append(Patch(facecolor="none", edgecolor="0.4", label="outline of a raster"))
    figure.legend(handles=legend, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return figure


def _place(
    raster: RasterInfo, labelled: Sequence[Source], held_out: Sequence[Source], unlabelled: Sequence[Source]
) -> Place:
    learned, validated = (_areas(sources, _regions) for sources in (labelled, held_out))
    without = _areas(unlabelled, lambda source: [shapely.difference(_extent(raster), _known(source))])
    known = shapely.get_parts(shapely.union(learned, validated))
    # Each of thousands of parts held out knows all the roads of its raster, by the same index.
    indexes = dict.fromkeys(index for source in (*labelled, *held_out) for index in _roads(source))
    drawn = [piece for index in indexes for piece in _inside(index, known)]
    return Place(raster, learned, validated, without, shapely.disjoint_subset_union_all(drawn))


def _inside(roads: STRtree, parts: Geometries) -> Geometries:
    """What of some roads lies in each of some parts: as wholes, both take minutes to cut where they are thousands."""
    part, road = roads.query(parts, predicate="intersects")
    pieces = shapely.intersection(roads.geometries[road], parts[part])
    some: Geometries = pieces[shapely.area(pieces) > 0]
    return some


def _by_raster(sources: Iterable[Source]) -> dict[RasterInfo, list[Source]]:
    grouped: dict[RasterInfo, list[Source]] = {}
    for source in sources:
        grouped.setdefault(source.raster, []).append(source)
    return grouped


def _areas(sources: Iterable[Source], geometries: Callable[[Source], Iterable[shapely.Geometry]]) -> shapely.Geometry:
    """What some geometries of the sources cover together."""
    return shapely.disjoint_subset_union_all([each for source in sources for each in geometries(source)])


def _regions(source: Source) -> Iterable[shapely.Geometry]:
    """The annotated area; of labels that come as masks, what windows are drawn from."""
    match source.annotation:
        case Annotation(area=area):
            return list(area.geometries)
        case _:
            return list(source.regions)


def _known(source: Source) -> shapely.Geometry:
    match source.annotation:
        case Annotation(area=area):
            return shapely.disjoint_subset_union_all(area.geometries)
        case _:
            return shapely.Polygon()


def _roads(source: Source) -> list[STRtree]:
    """The index of the roads; of labels that come as masks, none."""
    match source.annotation:
        case Annotation(roads=roads):
            return [roads]
        case _:
            return []


def _extent(raster: RasterInfo) -> shapely.Geometry:
    return shapely.box(0, 0, raster.width, raster.height)


def _neighbourhoods(shown: Sequence[Place]) -> list[list[Place]]:
    """Rasters of one coordinate reference system that lie within their own size of each other."""
    groups, left_over = [], list(shown)
    while left_over:
        crs = left_over[0].raster.crs  # which files write in several ways
        alike = [each for each in left_over if each.raster.crs == crs]
        left_over = [each for each in left_over if each.raster.crs != crs]
        outlines = np.array([_on_map(_extent(each.raster), each.raster) for each in alike])
        left, bottom, right, top = shapely.bounds(outlines).T
        around = shapely.buffer(outlines, np.maximum(right - left, top - bottom) / 2, cap_style="square")
        tree = STRtree(outlines)
        for part in shapely.get_parts(shapely.union_all(around)):
            groups.append([alike[k] for k in np.sort(tree.query(part, predicate="contains"))])
    return groups


def _tallness(group: Sequence[Place]) -> float:
    """Height of the map as a part of its width."""
    left, bottom, right, top, along_x, along_y = _measures(group)
    return (top - bottom) * along_y / ((right - left) * along_x)


def _measures(group: Sequence[Place]) -> tuple[float, ...]:
    """Least x, least y, largest x, largest y of the rasters, and the metres of a unit along x and y."""
    left, bottom, right, top = shapely.total_bounds([_on_map(_extent(each.raster), each.raster) for each in group])
    (along_x,), (along_y,) = metres_per_unit(group[0].raster.crs, [(left + right) / 2], [(bottom + top) / 2])
    return left, bottom, right, top, along_x, along_y


def _draw(axes: Axes, group: Sequence[Place], numbers: Mapping[RasterInfo, str]) -> None:
    left, bottom, right, top, along_x, along_y = _measures(group)
    crs = group[0].raster.crs
    detail = max(right - left, top - bottom) / _DETAILS
    for each in group:
        outline = _on_map(_extent(each.raster), each.raster)
        for part, (colour, hatch, _) in _COLOURS.items():
            _fill(axes, shapely.simplify(_on_map(getattr(each, part), each.raster), detail), part, colour, hatch)
        axes.plot(*shapely.get_coordinates(outline).T, color="0.4", linewidth=1)
        if len(numbers) > 1 and len(group) <= _MOST_NUMBERED:
            x, y = shapely.get_coordinates(shapely.centroid(outline))[0]
            number = numbers[each.raster]
            axes.text(x, y, number, ha="center", va="center", bbox={"facecolor": "white", "alpha": 0.8, "pad": 2})
    margin = 0.04 * max((right - left) * along_x, (top - bottom) * along_y)
    axes.set(xlim=(left - margin / along_x, right + margin / along_x), title=crs.to_string()[:40])
    axes.set(ylim=(bottom - 2.5 * margin / along_y, top + margin / along_y), aspect=along_y / along_x)
    _label(axes, crs.is_geographic)
    _scale_bar(axes, left, bottom - 1.2 * margin / along_y, (right - left) / 3, along_x)


def _fill(axes: Axes, geometry: shapely.Geometry, part: str, colour: str, hatch: str) -> None:
    polygons = [each for each in shapely.get_parts(geometry) if each.geom_type == "Polygon" and not each.is_empty]
    if polygons:
        path = Path.make_compound_path(*(_path(each) for each in polygons))
        axes.add_patch(PathPatch(path, facecolor=colour, hatch=hatch, edgecolor="0.2", linewidth=0, gid=part))


def _path(polygon: shapely.Polygon) -> Path:
    # Shells and holes turn opposite ways: so holes stay open.
    turned = shapely.orient_polygons(polygon)
    rings = [turned.exterior, *turned.interiors]
    return Path.make_compound_path(*(Path(shapely.get_coordinates(ring), closed=True) for ring in rings))


def _on_map(geometry: shapely.Geometry, raster: RasterInfo) -> shapely.Geometry:
    """From pixels to the raster's coordinate reference system."""

    def to_crs(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.column_stack(raster.transform @ tuple(points.T))

    return shapely.transform(geometry, to_crs)


def _label(axes: Axes, in_degrees: bool) -> None:
    axes.set(xlabel="longitude" if in_degrees else "x (east)", ylabel="latitude" if in_degrees else "y (north)")
    axes.ticklabel_format(style="plain", useOffset=False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(labelsize=8)


def _scale_bar(axes: Axes, left: float, bottom: float, most: float, metres: float) -> None:
    """A bar of a round number of metres, at most so long in units of the map."""
    power = 10.0 ** math.floor(math.log10(most * metres))
    length = next(factor * power for factor in (5, 2, 1) if factor * power <= most * metres)
    axes.plot([left, left + length / metres], [bottom, bottom], color="black", linewidth=3, solid_capstyle="butt")
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.text(left + length / metres, bottom, f"  {text}", va="center", fontsize=9)
