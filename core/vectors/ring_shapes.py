"""Rings of polygons with fewer points and rounder corners; polygons that were valid stay so.

What simplifying or rounding breaks is mended where it broke, not ring by ring: the outline of a town's
streets is one ring of a million points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import shapely

__all__ = ["Placing", "cut_corners", "groups", "polygons_of", "rounded", "simplified"]

_POINTS_AT_ONCE = 500_000
_ROUNDS = 8

Points = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Geometries = npt.NDArray[np.object_]
Placing = Callable[[Points], Points]


def groups(sizes: Indices) -> Iterator[slice]:
    """Cuts a row of things of these sizes into groups of not too many points; a larger thing is a group of its own."""
    start, total = 0, 0
    for index, size in enumerate(sizes.tolist()):
        if index > start and total + size > _POINTS_AT_ONCE:
            yield slice(start, index)
            start, total = index, 0
        total += size
    if len(sizes):
        yield slice(start, len(sizes))


def polygons_of(points: Points, sizes: Indices, polygon: Indices) -> Geometries:
    """Polygons from rings that follow each other.

    Args:
        points: `(N, 2)` of all rings, none with its first point again at its end.
        sizes: `(R,)` points of each ring.
        polygon: `(R,)` which polygon each ring is part of, ascending from 0; the first of a polygon is its shell.
    """
    rings = shapely.linearrings(points, indices=np.repeat(np.arange(len(sizes)), sizes))
    polygons: Geometries = shapely.polygons(rings, indices=polygon)
    return polygons


def simplified(
    points: Points, sizes: Indices, polygon: Indices, tolerance: float, placed: Placing
) -> tuple[Points, Indices]:
    """Rings with fewer points (Douglas-Peucker), as points and sizes; a ring that would vanish stays as it is.

    Args:
        points: as of `polygons_of`.
        sizes: as of `polygons_of`.
        polygon: as of `polygons_of`.
        tolerance: as far from its line a point may be left out.
        placed: brings points to where the polygons must be valid: rounding can make touching lines cross.
    """
    kept = np.concatenate(
        [_kept_points(points, sizes, some, tolerance) for some in groups(sizes)] or [np.zeros(0, dtype=bool)]
    )
    counts = _counts(kept, sizes)
    kept |= np.repeat(counts < 3, sizes)
    kept = _mended(points, sizes, polygon, kept, placed)
    return points[kept], _counts(kept, sizes)


def rounded(points: Points, sizes: Indices, polygon: Indices, reach: float, placed: Placing) -> tuple[Points, Indices]:
    """Rings whose corners are cut, up to `reach` metres away from them, in two rounds; as points and sizes."""
    for part in (reach / 2, reach / 4):
        cut = _safe_cuts(points, sizes, polygon, part, placed)
        points = cut_corners(points, sizes, part, cut)
        sizes = sizes + _counts(cut, sizes)
    return points, sizes


def cut_corners(points: Points, sizes: Indices, reach: float, cut: Flags) -> Points:
    """Two points for each of the points `(N, 2)` to cut, on the lines to its neighbours (Chaikin, 1974).

    They lie as far away as `reach`, or as a quarter of the line.
    """
    before, after = (_towards(points, points[beside], reach) for beside in _neighbours(sizes))
    result = np.repeat(points, 1 + cut, axis=0)
    first = np.flatnonzero(cut) + np.arange(cut.sum())
    result[first], result[first + 1] = before[cut], after[cut]
    return result


def _counts(flags: Flags, sizes: Indices) -> Indices:
    """How many points of each ring are flagged."""
    total = np.concatenate([[0], np.cumsum(flags)])
    ends = np.cumsum(sizes)
    counts: Indices = total[ends] - total[ends - sizes]
    return counts


def _neighbours(sizes: Indices) -> tuple[Indices, Indices]:
    """For each point of rings that follow each other, the point before it and the point after it."""
    ends = np.cumsum(sizes)
    before, after = np.arange(-1, ends[-1] - 1), np.arange(1, ends[-1] + 1)
    before[ends - sizes], after[ends - 1] = ends - 1, ends - sizes
    return before, after


def _towards(points: Points, others: Points, reach: float) -> Points:
    line = others - points
    length = np.hypot(*line.T)
    result: Points = points + line * (reach / np.maximum(length, 4 * reach))[:, None]
    return result


def _kept_points(points: Points, sizes: Indices, some: slice, tolerance: float) -> Flags:
    """Which points of some rings the simplification keeps."""
    ends = np.cumsum(sizes)
    start, end = int(ends[some][0] - sizes[some][0]), int(ends[some][-1])
    ends = ends[some] - start
    # A third coordinate carries each point's number through; the first point closes its ring.
    numbers = np.insert(np.arange(end - start), ends, ends - sizes[some])
    ring = np.repeat(np.arange(len(ends)), sizes[some] + 1)
    lines = shapely.linestrings(np.column_stack([points[start:end][numbers], numbers]), indices=ring)
    lines = shapely.simplify(lines, tolerance, preserve_topology=False)
    kept = np.zeros(end - start, dtype=bool)
    kept[shapely.get_coordinates(lines, include_z=True)[:, 2].astype(np.int64)] = True
    return kept


def _mended(points: Points, sizes: Indices, polygon: Indices, kept: Flags, placed: Placing) -> Flags:
    """Keeps more points, where simplified lines cross each other, until all the polygons are valid."""
    suspect = np.arange(polygon[-1] + 1) if len(polygon) else polygon
    for _ in range(_ROUNDS):
        rings = np.isin(polygon, suspect)
        within = np.repeat(rings, sizes)
        renumbered = np.searchsorted(suspect, polygon[rings])
        polygons = polygons_of(placed(points[kept & within]), _counts(kept, sizes)[rings], renumbered)
        suspect = suspect[~shapely.is_valid(polygons)]
        if not len(suspect):
            return kept
        broken = np.isin(polygon, suspect)
        kept = kept | _skipped_in_conflict(points, sizes, kept, np.repeat(np.where(broken, polygon, -1), sizes))
    return kept | np.repeat(np.isin(polygon, suspect), sizes)


def _skipped_in_conflict(points: Points, sizes: Indices, kept: Flags, polygon: Indices) -> Flags:
    """The points that were left out between the ends of lines that meet others of their polygon; -1 is none."""
    chosen = kept & (polygon >= 0)
    starts = np.flatnonzero(chosen)
    counts = _counts(chosen, sizes)
    _, following = _neighbours(counts[counts > 0])
    lines = np.stack([points[starts], points[starts[following]]], axis=1)  # (S, 2, 2)
    wrong = _in_conflict(lines, polygon[starts])
    ring_ends = np.repeat(np.cumsum(sizes), sizes)[starts]
    ends = np.where(starts[following] > starts, starts[following], ring_ends)
    skipped = np.zeros(len(points) + 1, dtype=np.int64)
    np.add.at(skipped, starts[wrong], 1)
    np.add.at(skipped, ends[wrong], -1)
    return np.cumsum(skipped)[:-1] > 0


def _in_conflict(lines: Points, polygon: Indices) -> Indices:
    """Which of the lines `(S, 2, 2)` meet others of their polygon elsewhere than end to end, or run along them."""
    shapes = shapely.linestrings(lines)
    a, b = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    own = (a < b) & (polygon[a] == polygon[b])
    a, b = a[own], b[own]
    ends = [(lines[a, i], lines[a, 1 - i], lines[b, j], lines[b, 1 - j]) for i in (0, 1) for j in (0, 1)]
    harmless = np.zeros(len(a), dtype=bool)
    for shared, other_a, same, other_b in ends:
        u, v = other_a - shared, other_b - shared
        apart = (np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) > 1e-9) | ((u * v).sum(axis=1) < 0)
        harmless |= (shared == same).all(axis=1) & apart
    return np.unique(np.concatenate([a[~harmless], b[~harmless]]))


def _safe_cuts(points: Points, sizes: Indices, polygon: Indices, reach: float, placed: Placing) -> Flags:
    """Which corners can be cut: of polygons that would become invalid, those with no other point in what is cut off."""
    cut = np.ones(len(points), dtype=bool)
    for mend in (_crowded_corners, _all_corners):
        points_cut = placed(cut_corners(points, sizes, reach, cut))
        polygons = polygons_of(points_cut, sizes + _counts(cut, sizes), polygon)
        broken = np.flatnonzero(~shapely.is_valid(polygons))
        if not len(broken):
            break
        cut &= ~mend(points, sizes, reach, np.repeat(np.where(np.isin(polygon, broken), polygon, -1), sizes))
    return cut


def _crowded_corners(points: Points, sizes: Indices, reach: float, polygon: Indices) -> Flags:
    """Corners in which other points of their polygon lie; -1 is none."""
    before, after = (_towards(points, points[beside], reach) for beside in _neighbours(sizes))
    chosen = np.flatnonzero(polygon >= 0)
    corners = shapely.polygons(np.stack([before[chosen], points[chosen], after[chosen]], axis=1))
    tree = shapely.STRtree(shapely.points(points[chosen]))
    corner, point = tree.query(corners, predicate="intersects")
    crowded = np.zeros(len(points), dtype=bool)
    corner, point = chosen[corner], chosen[point]
    crowded[corner[(corner != point) & (polygon[corner] == polygon[point])]] = True
    return crowded


def _all_corners(points: Points, sizes: Indices, reach: float, polygon: Indices) -> Flags:
    return polygon >= 0
