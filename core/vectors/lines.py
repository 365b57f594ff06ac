"""Lines along roads: points with the road's width, and what can be measured along them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ROUNDING", "Floats", "Line", "heading_of", "part_of", "sizes_of", "steps_of", "way_along"]

ROUNDING = 1e-6  # metres; what differs by less is equal, wherever the raster lies

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
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
        return float(steps_of(self.points).sum())

    @property
    def width(self) -> float:
        """Mean width of the road over the line, in metres."""
        steps, widths = steps_of(self.points), (self.points[1:, 2] + self.points[:-1, 2]) / 2
        length = steps.sum()
        return float(widths @ steps / length) if length > 0 else float(widths.mean())

    @property
    def farthest_aside(self) -> float:
        """How far from the straight line between its ends it leads, in metres."""
        points = self.points[:, :2] - self.points[0, :2]
        x, y = points[-1] / max(math.hypot(*points[-1]), 1e-9)
        return float(np.abs(points[:, 0] * y - points[:, 1] * x).max())

    @property
    def is_loop(self) -> bool:
        """Whether it ends where it began."""
        return self.nodes[0] == self.nodes[1]

    def reversed(self) -> Line:
        """The same line from its end to its beginning."""
        return Line(self.points[::-1], self.nodes[::-1])


def sizes_of(lines: Sequence[Line]) -> npt.NDArray[np.int64]:
    """How many points each line has."""
    return np.array([len(line.points) for line in lines], dtype=np.int64)


def steps_of(points: Floats) -> Floats:
    """Metres from each point of `(N, 2+)` to the next: `(N - 1,)`."""
    # Of many short lines; `diff` takes longer to look at what it is given.
    x, y = (points[1:, :2] - points[:-1, :2]).T
    steps: Floats = np.hypot(x, y)
    return steps


def way_along(points: Floats) -> Floats:
    """Metres along the line from the first point of `(N, 2+)` to each: `(N,)`."""
    way = np.zeros(len(points))
    steps_of(points).cumsum(out=way[1:])
    return way


def heading_of(points: Floats, start: float, length: float) -> Floats:
    """Direction `(2,)`, of length 1, of the part of `length` metres that begins `start` metres from the first point."""
    way = way_along(points)
    first = min(int(way.searchsorted(start - ROUNDING)), len(points) - 2)
    last = max(min(int(way.searchsorted(start + length - ROUNDING)), len(points) - 1), first + 1)
    direction = points[last, :2] - points[first, :2]
    return direction / max(math.hypot(*direction), 1e-9)


def part_of(points: Floats, start: float, stop: float) -> Floats:
    """The points of a line from `start` to `stop` metres along it; between points, interpolated."""
    way = way_along(points)
    ends = np.stack([np.interp([start, stop], way, column) for column in points.T], axis=1)
    return np.vstack([ends[:1], points[(way > start) & (way < stop)], ends[1:]])
