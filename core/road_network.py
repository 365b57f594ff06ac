"""A network of roads from the chains of a skeleton: without spurs, knots and small gaps, lines meeting in points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import KDTree

from .skeleton import Chains, smooth_lines

__all__ = ["Line", "RoadNetwork"]

_AIM = np.cos(np.radians(30))  # of the ends of a gap
_STEEP = np.sin(np.radians(30))  # between an end and the line whose side it is led to
_WIDEST = 60.0  # metres; ends of wider roads are not bridged
_PULL = 0.05  # of the skeleton's junction against the meeting point of the lines

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A line between two nodes.

    Attributes:
        points: `(N, 3)` x, y and the road's width, in metres; two points or more.
        nodes: where it begins and where it ends.
    """

    points: Floats
    nodes: tuple[int, int]

    @property
    def length(self) -> float:
        """In metres."""
        return float(_steps(self.points).sum())

    @property
    def width(self) -> float:
        """Mean width of the road over the line, in metres."""
        steps, widths = _steps(self.points), (self.points[1:, 2] + self.points[:-1, 2]) / 2
        return float(np.average(widths, weights=steps)) if steps.sum() > 0 else float(widths.mean())

    @property
    def is_loop(self) -> bool:
        """Whether it ends where it began."""
        return self.nodes[0] == self.nodes[1]

    def reversed(self) -> Line:
        """The same line from its end to its beginning."""
        return Line(self.points[::-1], self.nodes[::-1])


class RoadNetwork:
    """Lines that meet in nodes; each method mends one thing.

    Args:
        chains: of a skeleton.
        cut_off: nodes in which the raster, not the road, ends.
    """

    def __init__(self, chains: Iterable[Chains], cut_off: Set[int]) -> None:
        self._lines: dict[int, Line] = {}
        self._at: defaultdict[int, list[int]] = defaultdict(list)
        self._number = 0
        self._cut_off = cut_off
        for part in chains:
            for points, nodes in zip(np.split(part.points, np.cumsum(part.sizes)[:-1]), part.nodes, strict=False):
                self._add(Line(points, (int(nodes[0]), int(nodes[1]))))
        self._join()

    @property
    def lines(self) -> list[Line]:
        """The lines."""
        return list(self._lines.values())

    def prune(self) -> None:
        """Removes spurs: lines to a free end, no longer than the road that they come from is wide."""
        while spurs := [number for number, line in self._lines.items() if self._is_spur(line)]:
            for number in spurs:
                self._remove(number)
            self._join()

    @property
    def junctions(self) -> list[int]:
        """The nodes at which three lines or more meet."""
        return [node for node, numbers in self._at.items() if len(numbers) > 2]

    def untangle(self) -> list[int]:
        """Makes one node of junctions that lie within a road's half width of each other; returns these nodes."""
        merged = []
        for number in list(self._lines):
            if self._is_knot(self._lines[number]):
                a, b = self._remove(number).nodes
                for other in list(self._at[b]):
                    self._replace(other, self._renamed(other, b, a))
                merged.append(a)
        self._join()
        self.prune()
        return merged

    def smooth(self, passes: int) -> None:
        """Takes waves out of the lines; their ends stay."""
        sizes = np.array([len(line.points) for line in self._lines.values()], dtype=np.int64)
        if len(sizes):
            points = smooth_lines(np.vstack([line.points for line in self._lines.values()]), sizes, passes)
            parts = np.split(points, np.cumsum(sizes)[:-1])
            self._lines = {
                number: replace(line, points=part)
                for (number, line), part in zip(self._lines.items(), parts, strict=True)
            }

    def settle(self, nodes: Iterable[int]) -> None:
        """Moves junctions to where the lines that come to them would meet, and leads these there straight."""
        for node in nodes:
            if self._degree(node) > 2:
                self._settle(node)

    def bridge_ends(self, longest: float) -> None:
        """Joins free ends that point at each other across a gap of at most `longest` metres, the nearest first."""
        ends = list(self._free_ends())
        if len(ends) < 2:
            return
        places = np.array([end.place for end in ends])
        widest = min(max(float(end.point[2]) for end in ends), _WIDEST)
        pairs = KDTree(places).query_pairs(longest + widest, output_type="ndarray")
        gaps = _gaps(ends, pairs)
        near = np.argsort(gaps)[: int((gaps <= longest).sum())]
        taken: set[int] = set()
        for a, b in pairs[near].tolist():
            if not {a, b} & taken:
                taken |= {a, b}
                points = np.stack([ends[a].point, ends[b].point])
                self._add(Line(points, (ends[a].node, ends[b].node)))
        self._join()

    def bridge_sides(self, longest: float) -> None:
        """Joins free ends to the side of the line that they point at over a gap of at most `longest` metres.

        Not where the line runs along with them.
        """
        ends = [end for end in self._free_ends() if end.point[2] <= _WIDEST]
        met: defaultdict[int, list[_Crossing]] = defaultdict(list)
        for crossing in self._first_crossings(ends, longest + _WIDEST / 2 / _STEEP):
            if crossing.sine >= _STEEP and crossing.gap <= longest:
                met[crossing.line].append(crossing)
        for number, crossings in met.items():
            self._lead_to_side(number, crossings)
        self._join()

    def _first_crossings(self, ends: list[_FreeEnd], reach: float) -> Iterable[_Crossing]:
        """What each end points at first, from where its road ends on, within a reach in metres."""
        starts = [end.place + end.direction * end.point[2] / 2 for end in ends]
        rays = [
            shapely.LineString([start, start + end.direction * reach]) for start, end in zip(starts, ends, strict=True)
        ]
        tree = shapely.STRtree(rays)
        first: dict[int, _Crossing] = {}
        # Line by line: all of them as shapes would take as much memory again.
        for number, line in self._lines.items():
            for ray in tree.query(shapely.LineString(line.points[:, :2]), predicate="intersects").tolist():
                crossing = _crossing(ends[ray], starts[ray], number, line)
                if ray not in first or crossing.distance < first[ray].distance:
                    first[ray] = crossing
        return first.values()

    def _lead_to_side(self, number: int, crossings: list[_Crossing]) -> None:
        """Cuts a line where free ends cross it, and leads these there."""
        line = self._remove(number)
        way = _way(line.points)
        cuts = [(0.0, line.nodes[0]), (float(way[-1]), line.nodes[1])]
        for crossing in crossings:
            at, node = min(cuts, key=lambda cut: abs(cut[0] - crossing.at))
            if abs(at - crossing.at) > crossing.width / 2:
                # Nodes of the skeleton are numbers of pixels.
                at, node = crossing.at, -1 - self._number
                cuts.append((at, node))
            tip = np.append(_between(line.points, way, at, at)[0, :2], crossing.end.point[2])
            self._add(Line(np.stack([crossing.end.point, tip]), (crossing.end.node, node)))
        for (start, a), (stop, b) in pairwise(sorted(cuts)):
            self._add(Line(_between(line.points, way, start, stop), (a, b)))

    def drop_small(self, least_area: float) -> None:
        """Removes parts of the network whose road is smaller, in square metres, or no longer than it is wide."""
        for part in list(self._parts()):
            lines = [self._lines[number] for number in part]
            lengths = sum(line.length for line in lines)
            area = sum((line.length + line.width) * line.width for line in lines)
            if area < least_area or lengths < max(line.width for line in lines):
                for number in part:
                    self._remove(number)

    def straighten_ends(self) -> None:
        """Takes the hooks off free ends, which the skeleton leads into a corner of the road's end."""
        for end in list(self._free_ends()):
            points = self._from(end)
            way = _way(points)
            if way[-1] > 2 * points[:, 2].max():
                first = int(np.searchsorted(way, np.median(points[:, 2])))
                heading = -_heading(points, way[first], points[first, 2])
                onto = points[first, :2] + heading * np.maximum((end.place - points[first, :2]) @ heading, 0)
                self._put(end, np.vstack([np.append(onto, end.point[2]), points[first:]]))

    def extend(self) -> None:
        """Leads lines on to the end of their road: the skeleton stops half a width before."""
        for end in list(self._free_ends()):
            points = self._from(end)
            tip = np.append(end.place + end.direction * end.point[2] / 2, points[1, 2])
            self._put(end, np.vstack([tip, points[1:]]))

    def _from(self, end: _FreeEnd) -> Floats:
        """The points of a line from a free end on."""
        line = self._lines[end.line]
        return line.points if line.nodes[0] == end.node else line.points[::-1]

    def _put(self, end: _FreeEnd, points: Floats) -> None:
        line = self._lines[end.line]
        self._lines[end.line] = replace(line, points=points if line.nodes[0] == end.node else points[::-1])

    def _add(self, line: Line) -> None:
        self._lines[self._number] = line
        for node in line.nodes:
            self._at[node].append(self._number)
        self._number += 1

    def _remove(self, number: int) -> Line:
        line = self._lines.pop(number)
        for node in line.nodes:
            self._at[node].remove(number)
        return line

    def _replace(self, number: int, line: Line) -> None:
        """Puts a line in the place of another."""
        for node in self._lines[number].nodes:
            self._at[node].remove(number)
        self._lines[number] = line
        for node in line.nodes:
            self._at[node].append(number)

    def _join(self) -> None:
        """Makes one line of two that meet in a node of their own."""
        for node in [node for node, numbers in self._at.items() if len(numbers) == 2]:
            first, second = self._at[node]
            if first == second:
                continue
            a, b = self._remove(first), self._remove(second)
            a = a if a.nodes[1] == node else a.reversed()
            b = b if b.nodes[0] == node else b.reversed()
            self._add(Line(np.vstack([a.points, b.points[1:]]), (a.nodes[0], b.nodes[1])))

    def _degree(self, node: int) -> int:
        return len(self._at[node])

    def _is_spur(self, line: Line) -> bool:
        degrees = [self._degree(node) for node in line.nodes]
        if line.is_loop:
            return degrees[0] > 2 and line.length < np.pi * float(line.points[0, 2])
        if min(degrees) > 1 or max(degrees) < 3:
            return False
        junction = line.points[-1] if degrees[0] == 1 else line.points[0]
        return line.length < float(junction[2])

    def _is_knot(self, line: Line) -> bool:
        between_junctions = not line.is_loop and min(map(self._degree, line.nodes)) > 2
        return between_junctions and line.length < max(line.points[0, 2], line.points[-1, 2]) / 2

    def _renamed(self, number: int, old: int, new: int) -> Line:
        line = self._lines[number]
        a, b = (new if node == old else node for node in line.nodes)
        return replace(line, nodes=(a, b))

    def _settle(self, node: int) -> None:
        arms = [_Arm.of(number, self._lines[number], end) for number, end in self._ends_at(node)]
        start = np.mean([arm.points[0] for arm in arms], axis=0)
        radius = float(np.median([arm.points[0, 2] for arm in arms])) / 2
        place = _meeting_point(start[:2], radius, arms)
        for number, end in self._ends_at(node):
            self._lead(number, end, place, radius)

    def _lead(self, number: int, end: int, place: Floats, radius: float) -> None:
        """Leads an end of a line from a radius away straight to a place."""
        line = self._lines[number]
        arm = _Arm.of(number, line, end)
        rest = arm.points[1:][_way(arm.points)[1:] >= min(radius, arm.length / 2)]
        points = np.vstack([np.append(place, rest[0, 2]), rest])
        self._lines[number] = replace(line, points=points if end == 0 else points[::-1])

    def _ends_at(self, node: int) -> Iterator[tuple[int, int]]:
        """The lines at a node, each with which of its ends is there: 0 or 1; a loop comes twice."""
        for number in dict.fromkeys(self._at[node]):
            for end in (0, 1):
                if self._lines[number].nodes[end] == node:
                    yield number, end

    def _free_ends(self) -> Iterator[_FreeEnd]:
        for number, line in self._lines.items():
            for node, points in zip(line.nodes, (line.points, line.points[::-1]), strict=True):
                if self._degree(node) == 1 and node not in self._cut_off:
                    yield _FreeEnd(number, node, points[0], -_heading(points, 0, points[0, 2]))

    def _parts(self) -> Iterator[list[int]]:
        """The numbers of the lines that hang together."""
        left = set(self._lines)
        while left:
            part, waiting = [], [left.pop()]
            while waiting:
                number = waiting.pop()
                part.append(number)
                beside = {other for node in self._lines[number].nodes for other in self._at[node]} & left
                left -= beside
                waiting.extend(beside)
            yield part


@dataclass(frozen=True)
class _FreeEnd:
    """An end at which no other line is: its line, its node, its point `(3,)` and where it points to `(2,)`."""

    line: int
    node: int
    point: Floats
    direction: Floats

    @property
    def place(self) -> Floats:
        return self.point[:2]


@dataclass(frozen=True)
class _Crossing:
    """Where a free end points at a line.

    Attributes:
        end: what points.
        line: number of the line.
        at: metres from the line's beginning.
        width: of the line's road there, in metres.
        distance: from where the end's road ends, in metres; inf if it does not point at the line.
        sine: of the angle between both.
    """

    end: _FreeEnd
    line: int
    at: float
    width: float
    distance: float
    sine: float

    @property
    def gap(self) -> float:
        """Metres from road to road, as the end points."""
        return self.distance - self.width / 2 / self.sine


@dataclass(frozen=True)
class _Arm:
    """A line as seen from a junction: its points from there on, and which of its ends is there."""

    line: int
    end: int
    points: Floats

    @classmethod
    def of(cls, number: int, line: Line, end: int) -> _Arm:
        return cls(number, end, line.points if end == 0 else line.points[::-1])

    @property
    def length(self) -> float:
        return float(_steps(self.points).sum())


def _meeting_point(start: Floats, radius: float, arms: list[_Arm]) -> Floats:
    """The point `(2,)` nearest to the straight lines that the arms make outside of the junction, near its start."""
    matrix, right = _PULL * np.eye(2), _PULL * start
    for arm in arms:
        if arm.length > 2 * radius:
            anchor = arm.points[_way(arm.points) >= radius][0, :2]
            heading = _heading(arm.points, radius, 2 * radius)
            across = np.eye(2) - np.outer(heading, heading)
            matrix += across
            right += across @ anchor
    place = np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
    move = place - start
    shift: Floats = move * min(1.0, radius / max(float(np.hypot(*move)), 1e-9))
    return start + shift


def _gaps(ends: list[_FreeEnd], pairs: npt.NDArray[np.int64]) -> Floats:
    """Metres from road to road, half a width before each line's end, for pairs `(P, 2)`; inf if they do not aim."""
    points = np.array([end.point for end in ends])[pairs]  # (P, 2, 3)
    directions = np.array([end.direction for end in ends])[pairs]
    way = points[:, 1, :2] - points[:, 0, :2]
    distance = np.hypot(*way.T)
    ahead = np.minimum((way * directions[:, 0]).sum(axis=1), -(way * directions[:, 1]).sum(axis=1))
    gaps = np.maximum(distance - points[:, :, 2].mean(axis=1), 0)
    return np.where(ahead >= _AIM * distance, gaps, np.inf)


def _crossing(end: _FreeEnd, start: Floats, number: int, line: Line) -> _Crossing:
    """The first point of a line that an end points at from a start `(2,)`."""
    offsets, steps = line.points[:-1, :2] - start, np.diff(line.points[:, :2], axis=0)
    slopes = _cross(end.direction, steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        distances, shares = _cross(offsets, steps) / slopes, _cross(offsets, end.direction) / slopes
    hit = (distances >= 0) & (shares >= 0) & (shares <= 1)
    first = int(np.argmin(np.where(hit, distances, np.inf)))
    if not hit[first]:
        return _Crossing(end, number, 0.0, 0.0, np.inf, 0.0)
    at = float(_way(line.points)[first] + shares[first] * np.hypot(*steps[first]))
    width = float(line.points[first, 2])
    sine = abs(float(_cross(end.direction, _heading(line.points, at - width / 2, width))))
    return _Crossing(end, number, at, width, float(distances[first]), sine)


def _cross(a: Floats, b: Floats) -> Floats:
    """The area `(...)` that vectors `(..., 2)` span."""
    area: Floats = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return area


def _between(points: Floats, way: Floats, start: float, stop: float) -> Floats:
    """The part of a line from `start` to `stop` metres along it."""
    ends = np.stack([np.interp([start, stop], way, column) for column in points.T], axis=1)
    return np.vstack([ends[:1], points[(way > start) & (way < stop)], ends[1:]])


def _steps(points: Floats) -> Floats:
    steps: Floats = np.hypot(*np.diff(points[:, :2], axis=0).T)
    return steps


def _way(points: Floats) -> Floats:
    """Metres from the first point to each."""
    return np.concatenate([[0], np.cumsum(_steps(points))])


def _heading(points: Floats, start: float, length: float) -> Floats:
    """Direction `(2,)` of a part of a line that begins `start` metres from its first point."""
    way = _way(points)
    first = min(int(np.searchsorted(way, start)), len(points) - 2)
    last = max(min(int(np.searchsorted(way, start + length)), len(points) - 1), first + 1)
    direction = points[last, :2] - points[first, :2]
    return direction / max(float(np.hypot(*direction)), 1e-9)
