"""Gaps in a network of roads: which free ends point at each other, and at the sides of which lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import KDTree

from .lines import ROUNDING, Floats, Line, heading_of, sizes_of, way_along
from .ring_shapes import groups

__all__ = ["Crossing", "FreeEnd", "apart", "corners_ahead", "facing_ends", "sides_ahead", "ways_across"]

_AIM = np.cos(np.radians(30))  # of two ends at each other
_STEEP = np.sin(np.radians(30))  # between an end and the line whose side it points at
_WIDEST = 60.0  # metres; ends of wider roads point nowhere
_ENDS_AT_ONCE = 4096
_DIGITS = 6  # of gaps in metres; what differs beyond is equal, wherever the raster lies

Indices = npt.NDArray[np.int64]
Geometries = npt.NDArray[np.object_]
_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class FreeEnd:
    """An end at which no other line is.

    Attributes:
        line: number of its line.
        node: in which it ends.
        point: `(3,)`, x, y and the road's width.
        direction: `(2,)`, where it points to.
    """

    line: int
    node: int
    point: Floats
    direction: Floats

    @property
    def place(self) -> Floats:
        """`(2,)`."""
        return self.point[:2]

    @property
    def tip(self) -> Floats:
        """`(2,)`, where the road ends: half a width beyond."""
        tip: Floats = self.place + self.direction * self.point[2] / 2
        return tip


@dataclass(frozen=True)
class Crossing:
    """Where a free end points at a line.

    Attributes:
        end: what points.
        at: metres from the line's beginning.
        width: of the line's road there, in metres.
        distance: from where the end's road ends, in metres.
        sine: of the angle between both.
    """

    end: FreeEnd
    at: float
    width: float
    distance: float
    sine: float

    @property
    def place(self) -> Floats:
        """`(2,)`."""
        return self.end.tip + self.end.direction * self.distance

    @property
    def gap(self) -> float:
        """Metres from road to road, as the end points."""
        return self.distance - self.width / 2 / self.sine


def facing_ends(ends: Sequence[FreeEnd], lines: Mapping[int, Line], longest: float) -> list[tuple[FreeEnd, FreeEnd]]:
    """Pairs of ends that point at each other across at most `longest` metres, the nearest first; each end once.

    The ways between them cross neither lines nor each other.
    """
    ends = _narrow(ends)
    if not ends:
        return []
    pairs, gaps = _facing(ends, longest)
    pairs = pairs[np.argsort(gaps.round(_DIGITS), kind="stable")]
    ways = _straight(_together(ends)[0][pairs, :2])
    return [(ends[a], ends[b]) for a, b in pairs[_free(pairs, ways, lines)].tolist()]


def corners_ahead(
    ends: Sequence[FreeEnd], lines: Mapping[int, Line], longest: float
) -> list[tuple[FreeEnd, FreeEnd, Floats]]:
    """Pairs of ends that point at one place across at most `longest` metres together, and the place `(2,)`.

    The nearest come first, each end once; the ways to the places cross neither lines nor each other.
    """
    ends = _narrow(ends)
    if not ends:
        return []
    rays = _rays(ends, longest)
    pairs = shapely.STRtree(rays).query(rays, predicate="intersects").T
    points, directions = _together(ends)
    tips = np.array([end.tip for end in ends])
    between, (first, second) = tips[pairs[:, 1]] - tips[pairs[:, 0]], directions[pairs.T]
    sines = _cross(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        to_first, to_second = _cross(between, second) / sines, _cross(between, first) / sines
    gaps = to_first + to_second
    near = (pairs[:, 0] < pairs[:, 1]) & (np.abs(sines) >= _STEEP) & (gaps <= longest)
    order = np.flatnonzero(near)[np.argsort(gaps[near].round(_DIGITS), kind="stable")]
    pairs, places = pairs[order], (tips[pairs[:, 0]] + first * to_first[:, None])[order]
    starts, stops = points[pairs.T, :2]
    ways = shapely.linestrings(np.stack([starts, places, stops], axis=1))
    return [(ends[pairs[way, 0]], ends[pairs[way, 1]], places[way]) for way in _free(pairs, ways, lines)]


def sides_ahead(ends: Sequence[FreeEnd], lines: Mapping[int, Line], longest: float) -> dict[int, list[Crossing]]:
    """By number of the line, where ends point at its side across at most `longest` metres, and do not run along it.

    An end is led to the first line ahead of it or to none; the ways there do not cross each other.
    """
    ends = _narrow(ends)
    if not ends:
        return {}
    reach = longest + _WIDEST / 2 / _STEEP
    tree = shapely.STRtree(_rays(ends, reach))
    first: dict[int, tuple[int, Crossing]] = {}
    for numbers, shapes in _shapes(lines):
        for found, ray in tree.query(shapes, predicate="intersects").T.tolist():
            number = numbers[found]
            crossing = _crossing(ends[ray], lines[number])
            if crossing and (ray not in first or crossing.distance < first[ray][1].distance):
                first[ray] = number, crossing
    near = [(number, it) for number, it in first.values() if it.sine >= _STEEP and it.gap <= longest]
    near.sort(key=lambda side: round(side[1].gap, _DIGITS))
    sides: defaultdict[int, list[Crossing]] = defaultdict(list)
    ways = _straight(np.reshape([(it.end.place, it.place) for _, it in near], (-1, 2, 2)))
    for number, crossing in apart(near, ways):
        sides[number].append(crossing)
    return sides


def apart(things: list[_Thing], ways: Geometries) -> list[_Thing]:
    """Those of which the ways do not cross; of two that do, the earlier."""
    crossed: defaultdict[int, set[int]] = defaultdict(set)
    for way, other in shapely.STRtree(ways).query(ways, predicate="crosses").T.tolist():
        crossed[way].add(other)
    found: dict[int, _Thing] = {}
    for way, thing in enumerate(things):
        if not crossed[way] & found.keys():
            found[way] = thing
    return list(found.values())


def ways_across(ways: Geometries, lines: Mapping[int, Line]) -> Iterator[tuple[int, int]]:
    """Numbers of lines, each with that of a way that crosses it."""
    tree = shapely.STRtree(ways)
    for numbers, shapes in _shapes(lines):
        for line, way in tree.query(shapes, predicate="crosses").T.tolist():
            yield numbers[line], way


def _shapes(lines: Mapping[int, Line]) -> Iterator[tuple[list[int], list[shapely.LineString]]]:
    """Some lines at a time, their numbers and shapes: all of them would take as much memory again."""
    numbers = list(lines)
    for some in groups(sizes_of(list(lines.values()))):
        yield numbers[some], [shapely.LineString(lines[number].points[:, :2]) for number in numbers[some]]


def _free(pairs: Indices, ways: Geometries, lines: Mapping[int, Line]) -> list[int]:
    """Which of the pairs `(P, 2)` of ends, the best first, can be joined by their ways: these cross nothing."""
    clear = np.ones(len(pairs), dtype=bool)
    clear[[way for _, way in ways_across(ways, lines)]] = False
    taken: set[int] = set()
    found = []
    for number in np.flatnonzero(clear).tolist():
        pair = set(pairs[number].tolist())
        if not taken & pair:
            taken |= pair
            found.append(number)
    return apart(found, ways[found])


def _rays(ends: Sequence[FreeEnd], reach: float) -> Geometries:
    """Lines of `reach` metres from where the ends' roads end, as they point."""
    rays: Geometries = shapely.linestrings([(end.tip, end.tip + end.direction * reach) for end in ends])
    return rays


def _straight(ways: Floats) -> Geometries:
    """Lines of ways `(W, 2, 2)`, a little shorter: rounding must not have one cross the line that it ends on."""
    back = ways[:, ::-1] - ways
    lengths = np.linalg.norm(back, axis=2, keepdims=True)
    shapes: Geometries = shapely.linestrings(ways + back * (ROUNDING / np.maximum(lengths, ROUNDING) / 2))
    return shapes


def _narrow(ends: Sequence[FreeEnd]) -> list[FreeEnd]:
    return [end for end in ends if end.point[2] <= _WIDEST]


def _together(ends: Sequence[FreeEnd]) -> tuple[Floats, Floats]:
    """Their points `(E, 3)` and their directions `(E, 2)`."""
    return np.array([end.point for end in ends]), np.array([end.direction for end in ends])


def _facing(ends: Sequence[FreeEnd], longest: float) -> tuple[Indices, Floats]:
    """Pairs `(P, 2)` of ends that point at each other, and metres from road to road `(P,)`, `longest` at most."""
    points, directions = _together(ends)
    tree = KDTree(points[:, :2])
    reaches = longest + (points[:, 2] + points[:, 2].max()) / 2
    found = []
    # All pairs within reach would take gigabytes in a town.
    for start in range(0, len(points), _ENDS_AT_ONCE):
        some = slice(start, start + _ENDS_AT_ONCE)
        near = tree.query_ball_point(points[some, :2], reaches[some], return_sorted=True)
        first = np.repeat(np.arange(start, start + len(near)), [len(each) for each in near])
        second = np.concatenate(near).astype(np.int64)
        pairs = np.stack([first, second], axis=1)[first < second]
        gaps = _gaps(points[pairs], directions[pairs])
        short = gaps <= longest
        found.append((pairs[short], gaps[short]))
    pairs, gaps = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return pairs, gaps


def _gaps(points: Floats, directions: Floats) -> Floats:
    """Metres from road to road, half a width before each line's end, for pairs `(P, 2, ...)`; inf without aim."""
    way = points[:, 1, :2] - points[:, 0, :2]
    distance = np.hypot(*way.T)
    ahead = np.minimum((way * directions[:, 0]).sum(axis=1), -(way * directions[:, 1]).sum(axis=1))
    gaps = np.maximum(distance - points[:, :, 2].mean(axis=1), 0)
    return np.where(ahead >= _AIM * distance, gaps, np.inf)


def _crossing(end: FreeEnd, line: Line) -> Crossing | None:
    """The first point of a line that an end points at; None if it runs exactly along it."""
    offsets, steps = line.points[:-1, :2] - end.tip, np.diff(line.points[:, :2], axis=0)
    slopes = _cross(end.direction, steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        distances, shares = _cross(offsets, steps) / slopes, _cross(offsets, end.direction) / slopes
    hit = (distances >= 0) & (shares >= 0) & (shares <= 1)
    first = int(np.argmin(np.where(hit, distances, np.inf)))
    if not hit[first]:
        return None
    at = float(way_along(line.points)[first] + shares[first] * np.hypot(*steps[first]))
    width = float(line.points[first, 2])
    sine = abs(float(_cross(end.direction, heading_of(line.points, at - width / 2, width))))
    return Crossing(end, at, width, float(distances[first]), sine)


def _cross(a: Floats, b: Floats) -> Floats:
    """The area `(...)` that vectors `(..., 2)` span."""
    area: Floats = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return area
