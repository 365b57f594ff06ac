"""A painted scene that is quick to learn."""

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from qgis_sslkd.core.geodata.annotations import read_polygons
from qgis_sslkd.core.geodata.rasters import inspect_raster

LEFT, TOP, PIXEL, SIDE = 500_000.0, 5_000_000.0, 0.5, 256


@pytest.fixture(scope="session")
def small_scene(tmp_path_factory):
    """Grey roads on green with noise, 256 x 256 pixels, annotated in the left half: raster, roads, area."""
    folder = tmp_path_factory.mktemp("small-scene")
    roads = [shapely.box(20, 0, 32, SIDE), shapely.box(90, 0, 104, SIDE), shapely.box(0, 30, SIDE, 42)]
    roads += [shapely.box(0, 150, SIDE, 160), shapely.box(180, 0, 194, SIDE)]
    pixels = np.full((3, SIDE, SIDE), 60, dtype=np.float64)
    pixels[1] = 110
    for left, top, right, bottom in shapely.bounds(roads).astype(int):
        pixels[:, top:bottom, left:right] = 140
    pixels += np.random.default_rng(0).normal(scale=8, size=pixels.shape)
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(folder / "scene.tif", "w", transform=from_origin(LEFT, TOP, PIXEL, PIXEL), **profile) as dataset:
        dataset.write(pixels.astype(np.uint8))
    _write(folder / "roads.gpkg", roads)
    _write(folder / "area.gpkg", [shapely.box(0, 0, SIDE // 2, SIDE)])
    return (
        inspect_raster(str(folder / "scene.tif")),
        read_polygons(str(folder / "roads.gpkg"), line_width=None),
        read_polygons(str(folder / "area.gpkg"), line_width=None),
    )


def _write(path, boxes):
    """Writes boxes that are given in pixels."""
    on_ground = shapely.transform(boxes, lambda points: [LEFT, TOP] + points * [PIXEL, -PIXEL])
    pyogrio.raw.write(
        str(path),
        geometry=shapely.to_wkb(on_ground),
        field_data=[],
        fields=[],
        geometry_type="Polygon",
        crs="EPSG:32632",
    )
