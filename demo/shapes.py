"""Plane geometry for the generated scene: points and directions are complex numbers, x + iy in metres."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from shapely import Geometry, LineString, MultiPolygon, Polygon

Colour = tuple[float, float, float]
Rng = np.random.Generator

# The ground shadow of a post one metre high: the sun stands in the south-east, 48 degrees above the horizon.
SUN_SHADOW = complex(-0.52, 0.73)


@dataclass(frozen=True)
class Surface:
    """A polygon of one material; `grain` and `mottle` say how strong its fine and its patchy texture is."""

    outline: Geometry
    colour: Colour
    grain: float = 0.05
    mottle: float = 0.05
    ribs: complex = 0j  # roofs: the direction across which rows of tiles alternate


@dataclass(frozen=True)
class Building:
    """What stands on a footprint: its height casts the shadow, its faces are what the camera sees."""

    footprint: Polygon
    height: float
    roof: tuple[Surface, ...]


@dataclass(frozen=True)
class Tree:
    """A crown of overlapping round lobes (offset from the stem, radius)."""

    stem: complex
    height: float
    lobes: tuple[tuple[complex, float], ...]
    colour: Colour

    @property
    def reach(self) -> float:
        return max(abs(offset) + radius for offset, radius in self.lobes)


def polygon(points: Iterable[complex]) -> Polygon:
    """The polygon through the points."""
    return Polygon([(point.real, point.imag) for point in points])


def line(points: Iterable[complex]) -> LineString:
    """The line through the points."""
    return LineString([(point.real, point.imag) for point in points])


def rectangle(centre: complex, along: complex, length: float, width: float) -> Polygon:
    """A rectangle with its length in the direction `along` (of unit length)."""
    return polygon(centre + along * complex(x * length / 2, y * width / 2) for x, y in _CORNERS)


def moved(shape: Polygon, by: complex) -> Polygon:
    """The polygon at another place."""
    return polygon(complex(x, y) + by for x, y in shape.exterior.coords)


def point_on(path: LineString, distance: float) -> complex:
    """The point at a distance along a path."""
    point = path.interpolate(distance)
    return complex(point.x, point.y)


def direction_on(path: LineString, distance: float, reach: float = 1.0) -> complex:
    """The unit direction of a path at a distance, taken over `reach` metres to both sides."""
    step = point_on(path, min(distance + reach, path.length)) - point_on(path, max(distance - reach, 0.0))
    return step / abs(step) if step else 1 + 0j


def parts(shape: Geometry, least_area: float = 0.0) -> list[Polygon]:
    """The polygons of a shape, lines and points left out."""
    if isinstance(shape, Polygon):
        return [shape] if shape.area > least_area else []
    return [part for child in getattr(shape, "geoms", ()) for part in parts(child, least_area)]


def together(shapes: Iterable[Geometry]) -> MultiPolygon:
    """Many separate polygons as one shape, so that they are painted as one surface."""
    return MultiPolygon([part for shape in shapes for part in parts(shape)])


def vary(rng: Rng, colour: Colour, by: float = 0.08) -> Colour:
    """The colour, a little lighter or darker and a little off in hue."""
    light = 1 + rng.normal(0, by)
    red, green, blue = (float(np.clip(band * light * (1 + rng.normal(0, by / 6)), 8, 250)) for band in colour)
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, lighter or darker."""
    red, green, blue = (min(band * factor, 252.0) for band in colour)
    return red, green, blue


_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))
