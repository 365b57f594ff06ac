"""Lengths on the ground for any coordinate reference system: projected, in feet, Web Mercator, or in degrees."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

__all__ = [
    "WGS84",
    "Bounds",
    "is_on_ground",
    "metres_per_unit",
    "on_nearest_turn",
    "pixel_size",
    "project",
    "project_bounds",
    "turn_of",
]

WGS84 = CRS.from_epsg(4326)

_WEB_MERCATOR = CRS.from_epsg(3857)
_EQUATORIAL_RADIUS = 6378137.0  # metres, of the WGS 84 ellipsoid, and of the sphere of Web Mercator
_ECCENTRICITY_SQUARED = 0.00669437999014
_FARTHEST = 1e12  # in units of a CRS; there are none below a millimetre

Bounds = tuple[float, float, float, float]
Coordinates = npt.NDArray[np.float64]


def is_on_ground(crs: CRS) -> bool:
    """Whether a CRS has two axes along the ground, as geocentric and local ones have not."""
    return bool(crs.is_projected or crs.is_geographic)


def metres_per_unit(
    crs: CRS, xs: Sequence[float] | Coordinates, ys: Sequence[float] | Coordinates
) -> tuple[Coordinates, Coordinates]:
    """Metres on the ground that one unit of the CRS spans along its x and its y axis, at each of some places.

    Args:
        crs: any CRS with a horizontal datum.
        xs: first coordinates of the places, in units of the CRS (easting or longitude).
        ys: second coordinates.

    Raises:
        CRSError: if one of them is no place on the Earth.
    """
    step = 1e-4 if crs.is_geographic else 10.0
    steps = np.array([[0, step, 0], [0, 0, step]])[..., None]
    along = np.stack([xs, ys])[:, None] + steps
    longitudes, latitudes = (each.reshape(3, -1) for each in project(crs, WGS84, *along.reshape(2, -1)))
    if not is_on_ground(crs) or (np.abs(latitudes) > 90).any():
        raise CRSError(f"{xs}, {ys} is no place on the Earth in {crs}.")
    here, right, above = _in_space(longitudes, latitudes)
    return np.linalg.norm(right - here, axis=1) / step, np.linalg.norm(above - here, axis=1) / step


def project(
    source: CRS, target: CRS, xs: Sequence[float] | Coordinates, ys: Sequence[float] | Coordinates
) -> tuple[Coordinates, Coordinates]:
    """Points in another CRS.

    Raises:
        CRSError: if no way leads from one CRS to the other, or a point lies where it leads nowhere.
    """
    # PROJ counts the turns round the Earth one by one.
    if not (np.abs(np.stack([xs, ys])) < _FARTHEST).all():
        raise CRSError(f"Points cannot be brought from {source} to {target}: they lie beyond every place on the Earth.")
    try:
        projected_xs, projected_ys = transform_points(source, target, xs, ys)
    except CPLE_BaseError as error:
        raise CRSError(f"Points cannot be brought from {source} to {target}.") from error
    return np.asarray(projected_xs), np.asarray(projected_ys)


def turn_of(crs: CRS) -> float:
    """By how much first coordinates of one place differ, as they go round the Earth once more; 0 if they do not."""
    if crs.is_geographic:
        return 360.0
    return 2 * math.pi * _EQUATORIAL_RADIUS if crs == _WEB_MERCATOR else 0.0


def on_nearest_turn(xs: Coordinates, centre: float | Coordinates, crs: CRS) -> Coordinates:
    """First coordinates, moved by whole turns round the Earth to the nearest to a centre.

    In degrees and in Web Mercator the antimeridian has two; in other CRSs all stay as they are.
    """
    turn = turn_of(crs)
    if turn == 0:
        return xs
    nearest: Coordinates = xs - turn * np.round((xs - centre) / turn)
    return nearest


def project_bounds(source: CRS, target: CRS, bounds: Bounds) -> Bounds:
    """Least x, least y, largest x, largest y in another CRS of all that lies in the bounds.

    Raises:
        CRSError: if no way leads from one CRS to the other.
    """
    try:
        left, bottom, right, top = transform_bounds(source, target, *bounds)
    except CPLE_BaseError as error:
        raise CRSError(f"Bounds cannot be brought from {source} to {target}.") from error
    if not all(map(math.isfinite, (left, bottom, right, top))):
        raise CRSError(f"Bounds cannot be brought from {source} to {target}.")
    if target == _WEB_MERCATOR and source != target:
        # GDAL tells in degrees alone that the antimeridian is crossed.
        west, _, east, _ = project_bounds(source, WGS84, bounds)
        left, right = (longitude / 360 * turn_of(target) for longitude in (west, east))
    # Across the antimeridian they would run the other way round the Earth; what is drawn there may, or go on beyond it.
    return (left, bottom, right, top) if left <= right else (-turn_of(target), bottom, turn_of(target), top)


def pixel_size(crs: CRS, transform: Affine, width: int, height: int) -> tuple[float, float]:
    """Width and height in metres of a raster's central pixel.

    Args:
        crs: of the raster.
        transform: from pixel (column, row) to CRS coordinates.
        width: of the raster, in pixels.
        height: likewise.

    Raises:
        CRSError: if that is no place on the Earth.
    """
    x, y = transform @ (width / 2, height / 2)
    (along_x,), (along_y,) = metres_per_unit(crs, [x], [y])
    return (
        math.hypot(transform.a * along_x, transform.d * along_y),
        math.hypot(transform.b * along_x, transform.e * along_y),
    )


def _in_space(longitudes: Coordinates, latitudes: Coordinates) -> Coordinates:
    """Places given in degrees as `(..., 3)`, metres from the centre of the WGS 84 ellipsoid.

    There neither the antimeridian nor a pole, round which longitudes turn at once, is a place like no other.
    """
    east, north = np.radians(longitudes), np.radians(latitudes)
    radii = _EQUATORIAL_RADIUS / np.sqrt(1 - _ECCENTRICITY_SQUARED * np.sin(north) ** 2)
    from_axis = radii * np.cos(north)
    heights = radii * (1 - _ECCENTRICITY_SQUARED) * np.sin(north)
    return np.stack([from_axis * np.cos(east), from_axis * np.sin(east), heights], axis=-1)
