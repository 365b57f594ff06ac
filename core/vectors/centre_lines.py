"""Centre lines of the roads in a surface raster: a connected network with widths and lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from rasterio.crs import CRS

from ..geodata.ground_plane import GroundPlane, ground_plane
from ..geodata.outputs import FeatureWriter, crs_told_in
from ..geodata.rasters import BLOCK_CACHE
from ..labels import ROAD
from ..reporting import PartOfJob, Reporter
from .lines import Floats, Line, sizes_of
from .outlines import VectorSettings
from .ring_shapes import cut_corners, groups
from .road_network import RoadNetwork
from .skeleton import Chains, count_blocks, find_chains, inner_points
from .square_pixels import SquarePixels, square_pixels

__all__ = ["write_centre_lines"]

_LAYER = "centre_lines"
_BLOCKS_SHARE = 0.7
_SMOOTHING = 10  # passes over points a metre apart
_KNOT, _CROSSING = 0.5, 0.9  # of a road's width, within which junctions are one: before they settle, and after


def write_centre_lines(
    surface: Path | str, path: Path, settings: VectorSettings, reporter: Reporter, crs: CRS | None = None
) -> int:
    """Writes the centre lines of the roads in a surface raster, with widths and lengths in metres on the ground.

    Memory grows with the lines and with the blocks at work, not with the raster.

    Args:
        surface: raster of 1 road; anything else is none.
        path: vector file to write, its format by its extension.
        settings: of the centre lines.
        reporter: hears of the blocks and of what is done to the network.
        crs: of the lines; None for the raster's. GeoJSON holds WGS 84 in place of one without a code of EPSG.

    Returns:
        How many lines were written.

    Raises:
        CancelledError: where the user asked to stop.
    """
    with rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE), rasterio.open(surface) as dataset:
        plane = ground_plane(dataset)
        blocks = PartOfJob(reporter, 0, _BLOCKS_SHARE)
        network = _network(square_pixels(dataset, ROAD, plane.pixel), settings.fill_holes, blocks)
    _mend(network, settings, PartOfJob(reporter, _BLOCKS_SHARE, 1))
    lines = network.lines
    target, count = crs_told_in(path, crs or plane.crs), 0
    with FeatureWriter(path, _LAYER, "LineString", ["width", "length"], target) as writer:
        for some in groups(sizes_of(lines)):
            points, sizes = _shaped(lines[some], settings)
            indices = np.repeat(np.arange(len(sizes)), sizes)
            shapes = shapely.linestrings(plane.to_map(points, target), indices=indices)
            lengths = shapely.length(shapely.linestrings(plane.on_ground(points), indices=indices))
            areas = _areas(lines[some], shapely.linestrings(points, indices=indices), plane)
            # Between junctions that settled in one place nothing is left of a line.
            left = lengths > 0
            writer.append(shapes[left], areas[left] / lengths[left], lengths[left])
            count += int(left.sum())
    return count


def _network(road: SquarePixels, fill_holes: float, reporter: Reporter) -> RoadNetwork:
    chains = list(_chains(road, fill_holes, reporter))
    size = np.array(road.size) * road.shape[::-1]
    return RoadNetwork(chains, _on_border(chains, size, np.array(road.grain)), size)


def _chains(road: SquarePixels, fill_holes: float, reporter: Reporter) -> Iterator[Chains]:
    blocks = count_blocks(road)
    for number, chains in enumerate(find_chains(road, fill_holes), 1):
        yield chains
        reporter.progress(number / blocks, f"centre lines: block {number} of {blocks}")


def _on_border(chains: list[Chains], size: Floats, grain: Floats) -> set[int]:
    """The nodes of chains that end at the raster's border; those of roads along it are half a width away."""
    nodes: set[int] = set()
    for part in chains:
        ends = np.cumsum(part.sizes)
        points = part.points[np.stack([ends - part.sizes, ends - 1], axis=1)]
        inside = np.minimum(points[..., :2], size - points[..., :2])
        nodes.update(part.nodes[(inside < np.maximum(grain, points[..., 2:] / 3)).any(axis=2)].tolist())
    return nodes


def _mend(network: RoadNetwork, settings: VectorSettings, reporter: Reporter) -> None:
    steps = _steps(network, settings)
    for number, step in enumerate(steps):
        reporter.progress(number / len(steps), f"centre lines: network, step {number + 1} of {len(steps)}")
        step()


def _steps(network: RoadNetwork, settings: VectorSettings) -> list[Callable[[], object]]:
    """What makes roads of the skeleton's lines, one after the other."""
    clear: list[Callable[[], object]] = [
        network.prune,
        lambda: network.smooth(_SMOOTHING),
        lambda: network.untangle(_KNOT),
        lambda: network.settle(network.junctions),
        # Junctions that settle within one road are one: the skeleton of a slant crossing has two.
        lambda: network.settle(network.untangle(_CROSSING)),
        lambda: network.unite(settings.tolerance),
        network.straighten_ends,
        network.lead_to_border,
    ]
    if settings.bridge == 0:
        return [*clear, lambda: network.drop_small(settings.least_area), network.extend, network.keep_inside]
    return [
        *clear,
        lambda: network.bridge_ends(settings.bridge),
        lambda: network.drop_small(settings.least_area),
        # Specks that are dropped before stand in no way, and do not point at some line.
        lambda: network.bridge_ends(settings.bridge),
        lambda: network.bridge_sides(settings.bridge),
        lambda: network.bridge_corners(settings.bridge),
        network.extend,
        network.keep_inside,
    ]


def _shaped(lines: list[Line], settings: VectorSettings) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Points `(N, 2)` of the lines, simplified and rounded, and how many each has."""
    shapes = shapely.simplify([shapely.LineString(line.points[:, :2]) for line in lines], settings.tolerance)
    points, sizes = shapely.get_coordinates(shapes), shapely.get_num_coordinates(shapes).astype(np.int64)
    for part in (settings.smooth / 2, settings.smooth / 4) if settings.smooth > 0 else ():
        points, sizes = cut_corners(points, sizes, part, inner_points(sizes)), sizes + np.maximum(sizes - 2, 0)
    return points, sizes


def _areas(lines: list[Line], shapes: npt.NDArray[np.object_], plane: GroundPlane) -> Floats:
    """Square metres on the ground `(N,)` of the roads along lines, by their shapes in the plane."""
    middles = shapely.get_coordinates(shapely.line_interpolate_point(shapes, 0.5, normalized=True))
    widths = np.array([line.width for line in lines])
    areas: Floats = widths * shapely.length(shapes) * plane.area_scale(middles)
    return areas
