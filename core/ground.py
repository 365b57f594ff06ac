"""Lengths on the ground for any coordinate reference system: projected, in feet, Web Mercator, or in degrees."""

from __future__ import annotations

import math

from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

__all__ = ["ground_sampling_distance", "metres_per_unit"]

_EQUATORIAL_RADIUS = 6378137.0
_ECCENTRICITY_SQUARED = 0.00669437999014
_WGS84 = CRS.from_epsg(4326)


def metres_per_unit(crs: CRS, x: float, y: float) -> tuple[float, float]:
    """Metres on the ground that one unit of the CRS spans along its x and its y axis at a place.

    Args:
        crs: any CRS with a horizontal datum.
        x: first coordinate of the place, in units of the CRS (easting or longitude).
        y: second coordinate of the place.
    """
    step = 1e-4 if crs.is_geographic else 10.0
    longitudes, latitudes = transform_points(crs, _WGS84, [x, x + step, x], [y, y, y + step])
    return (
        _distance(longitudes[0], latitudes[0], longitudes[1], latitudes[1]) / step,
        _distance(longitudes[0], latitudes[0], longitudes[2], latitudes[2]) / step,
    )


def ground_sampling_distance(crs: CRS, transform: Affine, width: int, height: int) -> float:
    """Side in metres of a square as large as the raster's central pixel."""
    x, y = transform @ (width / 2, height / 2)
    along_x, along_y = metres_per_unit(crs, x, y)
    return math.sqrt(abs(transform.determinant) * along_x * along_y)


def _distance(longitude_a: float, latitude_a: float, longitude_b: float, latitude_b: float) -> float:
    """Metres between two near places given in degrees, by the radii of the WGS 84 ellipsoid there."""
    latitude = math.radians((latitude_a + latitude_b) / 2)
    curvature = 1 - _ECCENTRICITY_SQUARED * math.sin(latitude) ** 2
    east = math.radians(longitude_b - longitude_a) * math.cos(latitude) * _EQUATORIAL_RADIUS / math.sqrt(curvature)
    meridian_radius = _EQUATORIAL_RADIUS * (1 - _ECCENTRICITY_SQUARED) / curvature**1.5
    north = math.radians(latitude_b - latitude_a) * meridian_radius
    return math.hypot(east, north)
