"""A raster's pixels as a plane in metres, and the way from there to a map and to true measures on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.crs import CRS

from .ground import WGS84, on_nearest_turn, pixel_size, project

__all__ = ["GroundPlane", "ground_plane"]

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GroundPlane:
    """Points `(N, 2)` in metres to the right of and below a raster's upper left corner, as at its centre.

    Attributes:
        pixel: width and height of the central pixel in metres.
        transform: from pixel (column, row) to CRS coordinates.
        crs: the raster's coordinate reference system.
        equal_area: a CRS in metres around the raster's centre that keeps areas everywhere and lengths nearby.
    """

    pixel: tuple[float, float]
    transform: Affine
    crs: CRS
    equal_area: CRS

    def to_map(self, points: Points, crs: CRS) -> Points:
        """Points in the coordinates of a CRS; across the antimeridian they go on, such as to 180.01 degrees.

        Raises:
            CRSError: if a point has no place there.
        """
        x, y = (points / self.pixel).T
        in_crs = np.stack(self.transform @ (x, y), axis=1)
        if crs == self.crs:
            return in_crs
        xs, ys = project(self.crs, crs, *in_crs.T)
        centre, _ = project(self.equal_area, crs, [0], [0])
        return np.stack([on_nearest_turn(xs, centre, crs), ys], axis=1)

    def on_ground(self, points: Points) -> Points:
        """Points in metres on the ground: what is measured there holds at any place of the raster."""
        return self.to_map(points, self.equal_area)

    def area_scale(self, points: Points) -> npt.NDArray[np.float64]:
        """Square metres on the ground that a square metre of the plane has at points, `(N,)`."""
        here, right, below = (self.on_ground(points + step) for step in ([0, 0], [1, 0], [0, 1]))
        (a, b), (c, d) = (right - here).T, (below - here).T
        scale: npt.NDArray[np.float64] = np.abs(a * d - b * c)
        return scale


def ground_plane(dataset: rasterio.DatasetReader) -> GroundPlane:
    """The plane of an open raster.

    Raises:
        CRSError: if the raster's CRS has no place on the Earth.
    """
    x, y = dataset.transform @ (dataset.width / 2, dataset.height / 2)
    (longitude,), (latitude,) = project(dataset.crs, WGS84, [x], [y])
    equal_area = CRS.from_dict(proj="laea", lat_0=latitude, lon_0=longitude, datum="WGS84", units="m")
    pixel = pixel_size(dataset.crs, dataset.transform, dataset.width, dataset.height)
    return GroundPlane(pixel, dataset.transform, dataset.crs, equal_area)
