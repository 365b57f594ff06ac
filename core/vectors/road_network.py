"""A network of roads from the chains of a skeleton: without spurs, knots and small gaps, lines meeting in points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from itertools import pairwise
from statistics import median

import numpy as np
import shapely

from .gaps import Crossing, FreeEnd, apart, corners_ahead, facing_ends, sides_ahead, ways_across
from .lines import ROUNDING, Floats, Line, heading_of, part_of, sizes_of, way_along
from .ring_shapes import groups
from .skeleton import Chains, smooth_lines

__all__ = ["RoadNetwork"]

_PULL = 0.01  # of the skeleton's junction against the meeting point of the lines
_ASTRAY, _BESIDE = 0.25, 0.6  # of a road's width: the skeleton from its axis, and at most where the raster ends that
_CARRIED = 4.0  # metres along a line that smoothing carries a bend on


class RoadNetwork:
    """Lines that meet in nodes; each method mends one thing.

    Args:
        chains: of a skeleton.
        cut_off: nodes in which the raster, not the road, ends.
        size: `(2,)`, width and height of the raster, in metres.
    """

    def __init__(self, chains: Iterable[Chains], cut_off: Set[int], size: Floats) -> None:
        self._lines: dict[int, Line] = {}
        self._at: defaultdict[int, list[int]] = defaultdict(list)
        self._number = 0
        self._cut_off = cut_off
        self._size = size
        for part in chains:
            for points, nodes in zip(np.split(part.points, np.cumsum(part.sizes)[:-1]), part.nodes, strict=False):
                self._add(Line(points, (int(nodes[0]), int(nodes[1]))))
        self._join()

    @property
    def lines(self) -> list[Line]:
        """The lines."""
        return list(self._lines.values())

    def prune(self) -> None:
        """Removes spurs: roads to a free end, no longer from the line that they come from than its road is wide."""
        while spurs := [number for number, line in self._lines.items() if self._is_spur(line)]:
            for number in spurs:
                self._remove(number)
            self._join()

    @property
    def junctions(self) -> list[int]:
        """The nodes at which three lines or more meet."""
        return [node for node, numbers in self._at.items() if len(numbers) > 2]

    def untangle(self, share: float) -> list[int]:
        """Makes one node of junctions that lie within a share of a road's width of each other; returns these nodes."""
        merged = []
        for number in list(self._lines):
            if self._is_knot(self._lines[number], share):
                a, b = self._remove(number).nodes
                for other in list(self._at[b]):
                    self._replace(other, self._renamed(other, b, a))
                merged.append(a)
        self._join()
        self.prune()
        return merged

    def smooth(self, passes: int) -> None:
        """Takes waves out of the lines; their ends stay."""
        numbers = list(self._lines)
        sizes = sizes_of(self.lines)
        for some in groups(sizes):
            lines = [self._lines[number] for number in numbers[some]]
            points = smooth_lines(np.vstack([line.points for line in lines]), sizes[some], passes)
            parts = np.split(points, np.cumsum(sizes[some])[:-1])
            for number, line, part in zip(numbers[some], lines, parts, strict=True):
                self._lines[number] = replace(line, points=part)

    def settle(self, nodes: Iterable[int]) -> None:
        """Moves junctions to where the lines that come to them would meet, and leads these there straight."""
        for node in nodes:
            if self._degree(node) > 2:
                self._settle(node)

    def unite(self, farthest: float) -> None:
        """Makes one line of those that lead straight from one node to another, as around a small hole.

        Their roads lie side by side. Straight is what keeps as near to the straight line, in metres.
        """
        while sides := self._side_by_side(farthest):
            for numbers in sides:
                lines = [self._remove(number) for number in numbers]
                ends = lines[0].points[[0, -1]]
                ends[:, 2] = sum(line.width for line in lines)
                self._add(replace(lines[0], points=ends))
            self._join()

    def bridge_ends(self, longest: float) -> None:
        """Joins free ends that point at each other across a gap of at most `longest` metres, the nearest first."""
        for a, b in facing_ends(list(self._free_ends()), self._lines, longest):
            self._add(Line(np.stack([a.point, b.point]), (a.node, b.node)))
        self._join()

    def bridge_sides(self, longest: float) -> None:
        """Joins free ends to the side of the line that they point at across a gap of at most `longest` metres."""
        # Those that the way of another kept from one line may be led to that way.
        while sides := sides_ahead(list(self._free_ends()), self._lines, longest):
            for number, crossings in sides.items():
                self._lead_to_side(self._remove(number), crossings)
            self._join()

    def bridge_corners(self, longest: float) -> None:
        """Joins free ends that point at one place across gaps of at most `longest` metres together, in a bend there."""
        for a, b, place in corners_ahead(list(self._free_ends()), self._lines, longest):
            corner = np.append(place, (a.point[2] + b.point[2]) / 2)
            self._add(Line(np.stack([a.point, corner, b.point]), (a.node, b.node)))
        self._join()

    def drop_small(self, least_area: float) -> None:
        """Removes parts of the network whose road is smaller, in square metres, or no longer than it is wide."""
        for part in list(self._parts()):
            lengths = [self._lines[number].length for number in part]
            widths = [self._lines[number].width for number in part]
            area = sum((length + width) * width for length, width in zip(lengths, widths, strict=True))
            if area < least_area or sum(lengths) < max(widths) - ROUNDING:
                for number in part:
                    self._remove(number)

    def straighten_ends(self) -> None:
        """Takes the hooks off free ends, which the skeleton leads into a corner of the road's end.

        There the road is narrow; as elsewhere the line then ends half of the road's own width before the road does.
        """
        for number, node in list(self._ends(cut_off=False)):
            points = self._from(number, node)
            way = way_along(points)
            if way[-1] > 2 * points[:, 2].max() + ROUNDING:
                first = int(way.searchsorted(median(points[:, 2].tolist()) - ROUNDING))
                width = points[first, 2]
                heading = -heading_of(points, way[first], width)
                ahead = (points[0, :2] - points[first, :2]) @ heading + (points[0, 2] - width) / 2
                end = points[first, :2] + heading * max(ahead, 0)
                self._put(number, node, np.vstack([np.append(end, width), points[first:]]))

    def lead_to_border(self) -> None:
        """Leads lines that the raster ends straight on to its border.

        What mirrors the road there turns the skeleton aside, half a width and less from the border, by less than
        a quarter of a width. It leads on beside where the axis leaves the raster, up to the road's edge or into the
        raster's corner; more is a turn of the road's own, or of one that joins another there.
        """
        leads, ways = [], []
        for number, node in self._ends(cut_off=True):
            points = self._from(number, node)
            inside = np.minimum(points[:, :2], self._size - points[:, :2]).min(axis=1)
            first = int((inside > (points[:, 2] + _CARRIED) / 2 + ROUNDING).argmax())
            if first == 0:
                continue
            start, width, leg = points[first, :2], points[first, 2], way_along(points)[first]
            heading = -heading_of(points, leg, width)
            (x, y), (along, down) = (points[:first, :2] - start).T, heading
            with np.errstate(divide="ignore"):
                ahead = (np.where(heading > 0, self._size - start, start) / np.abs(heading)).min()
            aside = _BESIDE if ahead < leg else _ASTRAY
            if np.abs(x * down - y * along).max() < aside * width - ROUNDING:
                tip = start + heading * ahead
                leads.append((number, node, first, np.append(tip, width)))
                ways.append((start, tip))
        straight = shapely.linestrings(np.reshape(ways, (-1, 2, 2)))
        crossed = {way for line, way in ways_across(straight, self._lines) if line != leads[way][0]}
        free = [way for way in range(len(leads)) if way not in crossed]
        for number, node, first, tip in apart([leads[way] for way in free], straight[free]):
            self._put(number, node, np.vstack([tip, self._from(number, node)[first:]]))

    def extend(self) -> None:
        """Leads lines on to the end of their road: the skeleton stops half a width before."""
        for end in list(self._free_ends()):
            points = self._from(end.line, end.node)
            self._put(end.line, end.node, np.vstack([np.append(end.tip, points[1, 2]), points[1:]]))

    def keep_inside(self) -> None:
        """Moves onto the raster's border what lies beyond it, as the middles of roads that it cuts lengthwise may."""
        for number, line in self._lines.items():
            places = line.points[:, :2].clip(0, self._size)
            self._lines[number] = replace(line, points=np.column_stack([places, line.points[:, 2]]))

    def _side_by_side(self, farthest: float) -> list[list[int]]:
        """The numbers of straight lines, together with those between the same two nodes."""
        straight: defaultdict[frozenset[int], list[int]] = defaultdict(list)
        for number, line in self._lines.items():
            if not line.is_loop and line.farthest_aside <= max(farthest, ROUNDING):
                straight[frozenset(line.nodes)].append(number)
        return [numbers for numbers in straight.values() if len(numbers) > 1]

    def _from(self, number: int, node: int) -> Floats:
        """The points of a line from one of its two nodes on."""
        line = self._lines[number]
        return line.points if line.nodes[0] == node else line.points[::-1]

    def _put(self, number: int, node: int, points: Floats) -> None:
        line = self._lines[number]
        self._lines[number] = Line(points if line.nodes[0] == node else points[::-1], line.nodes)

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
            return degrees[0] > 2 and line.length < np.pi * float(line.points[0, 2]) - ROUNDING
        if min(degrees) > 1 or max(degrees) < 3:
            return False
        end, junction = map(float, line.points[[0, -1] if degrees[0] == 1 else [-1, 0], 2])
        # The road ends half of its width after the line.
        return line.length + end / 2 < junction - ROUNDING

    def _is_knot(self, line: Line, share: float) -> bool:
        between_junctions = not line.is_loop and min(map(self._degree, line.nodes)) > 2
        return between_junctions and line.length < share * min(line.points[0, 2], line.points[-1, 2]) - ROUNDING

    def _renamed(self, number: int, old: int, new: int) -> Line:
        line = self._lines[number]
        a, b = (new if node == old else node for node in line.nodes)
        return replace(line, nodes=(a, b))

    def _lead_to_side(self, line: Line, crossings: list[Crossing]) -> None:
        """Puts back a line, cut where free ends cross it, and leads these there."""
        cuts = [(0.0, line.nodes[0]), (float(way_along(line.points)[-1]), line.nodes[1])]
        for crossing in crossings:
            at, node = min(cuts, key=lambda cut: abs(cut[0] - crossing.at))
            if abs(at - crossing.at) > crossing.width / 2 + ROUNDING:
                # Nodes of the skeleton are numbers of pixels.
                at, node = crossing.at, -1 - self._number
                cuts.append((at, node))
            tip = np.append(part_of(line.points, at, at)[0, :2], crossing.end.point[2])
            self._add(Line(np.stack([crossing.end.point, tip]), (crossing.end.node, node)))
        for (start, a), (stop, b) in pairwise(sorted(cuts)):
            self._add(Line(part_of(line.points, start, stop), (a, b)))

    def _settle(self, node: int) -> None:
        arms = [self._arm(number, end) for number, end in self._ends_at(node)]
        start = np.mean([arm.points[0] for arm in arms], axis=0)
        radius = _radius(arms)
        place = _meeting_point(start[:2], radius, arms)
        for number, end in self._ends_at(node):
            self._lead(number, end, place, radius)

    def _lead(self, number: int, end: int, place: Floats, radius: float) -> None:
        """Leads an end of a line from a radius away straight to a place."""
        arm = self._arm(number, end)
        rest = arm.points[1:][way_along(arm.points)[1:] >= min(radius, arm.length / 2) - ROUNDING]
        led = replace(arm, points=np.vstack([np.append(place, rest[0, 2]), rest]))
        self._lines[number] = led if end == 0 else led.reversed()

    def _arm(self, number: int, end: int) -> Line:
        """A line as it runs from one of its ends, 0 or 1."""
        line = self._lines[number]
        return line if end == 0 else line.reversed()

    def _ends_at(self, node: int) -> Iterator[tuple[int, int]]:
        """The lines at a node, each with which of its ends is there: 0 or 1; a loop comes twice."""
        for number in dict.fromkeys(self._at[node]):
            for end in (0, 1):
                if self._lines[number].nodes[end] == node:
                    yield number, end

    def _free_ends(self) -> Iterator[FreeEnd]:
        for number, node in self._ends(cut_off=False):
            points = self._from(number, node)
            yield FreeEnd(number, node, points[0], -heading_of(points, 0, points[0, 2]))

    def _ends(self, *, cut_off: bool) -> Iterator[tuple[int, int]]:
        """The lines that end where no other line is, each with the node there; those that the raster ends or others."""
        for number, line in self._lines.items():
            for node in line.nodes:
                if self._degree(node) == 1 and (node in self._cut_off) == cut_off:
                    yield number, node

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


def _half_width(arms: list[Line]) -> float:
    return float(np.median([arm.points[0, 2] for arm in arms])) / 2


def _radius(arms: list[Line]) -> float:
    """How far in metres the roads of arms lie in each other: half a width, a whole one where two hardly part."""
    half = _half_width(arms)
    headings = np.array([heading_of(arm.points, half, 2 * half) for arm in arms])
    cosines = headings @ headings.T - 2 * np.eye(len(arms))
    return half * (1 + max(float(cosines.max()), 0.0))


def _meeting_point(start: Floats, radius: float, arms: list[Line]) -> Floats:
    """The point `(2,)` nearest to the straight lines that the arms make outside of the junction, near its start."""
    matrix, right = _PULL * np.eye(2), _PULL * start
    for arm in arms:
        if arm.length > 1.5 * radius + ROUNDING:
            # The last third of a short arm may bend into another junction, or a corner of its road's end.
            away = min(radius, arm.length / 3)
            anchor = arm.points[way_along(arm.points) >= away - ROUNDING][0, :2]
            heading = heading_of(arm.points, away, away)
            across = np.eye(2) - np.outer(heading, heading)
            matrix += across
            right += across @ anchor
    move = np.linalg.solve(matrix, right) - start
    distance = max(float(np.hypot(*move)), 1e-9)
    place: Floats = start + move * min(1.0, radius / distance)
    # Bent arms, as of a ring, may point at a place beside their roads.
    return place if _is_on_a_road(place, arms) else start + move * min(1.0, _half_width(arms) / distance)


def _is_on_a_road(place: Floats, arms: list[Line]) -> bool:
    points = np.vstack([arm.points for arm in arms])
    return bool((np.hypot(*(points[:, :2] - place).T) < points[:, 2] / 2 + ROUNDING).any())
