"""Generates the demo's own orthophoto: a town with its road polygons, named as a folder of real imagery is.

Run it: python -m demo.scene FOLDER [--seed 0]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine
from shapely import Geometry, Polygon, box

from .paint import Bounds, Picture, paint
from .plots import Plots, fill_blocks
from .shapes import parts
from .streets import Network, lay_streets

__all__ = ["CRS", "PIXEL", "Scene", "SceneFiles", "draw_scene", "write_scene"]

CRS = "EPSG:32632"
PIXEL = 0.3  # metres
TRAIN_CORNER = (466000.0, 5250000.0)  # north-western corners, in the CRS
TEST_CORNER = (468000.0, 5250000.0)
SURROUNDINGS = 45.0  # metres that are laid out but not shown, so that shadows and crowns reach in
BLOCK = 250  # pixels, the side that a labelled block has about
LABELLED_SHARE = 0.2
LEAST_ROAD_SHARE = 0.06  # of a block that somebody bothered to label


@dataclass(frozen=True)
class SceneFiles:
    """The files of a written scene: two images with their road polygons and the area where those are complete."""

    train: Path
    train_roads: Path
    train_extent: Path
    test: Path
    test_roads: Path
    test_extent: Path


@dataclass(frozen=True)
class Scene:
    """A painted place: `roads` is the truth, `paved` the asphalt of drives and car parks, which is no road."""

    picture: Picture
    transform: Affine
    bounds: Bounds
    roads: Geometry
    paved: Geometry


def write_scene(
    folder: Path,
    seed: int = 0,
    size: tuple[int, int] = (1600, 2000),
    test_size: tuple[int, int] = (1200, 1200),
) -> SceneFiles:
    """Write a training and a test image of (rows, columns) pixels with their vector files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    names = (
        "train.tif",
        "train_roads.gpkg",
        "train_extent.gpkg",
        "test.tif",
        "test_roads.gpkg",
        "test_extent.gpkg",
    )
    files = SceneFiles(*(folder / name for name in names))
    train = draw_scene([seed, 0], size, TRAIN_CORNER)
    blocks = _labelled_blocks(np.random.default_rng([seed, 2]), train, size)
    _write_part(train, blocks, files.train, files.train_roads, files.train_extent)
    test = draw_scene([seed, 1], test_size, TEST_CORNER)
    _write_part(test, [box(*test.bounds)], files.test, files.test_roads, files.test_extent)
    return files


def draw_scene(seed: int | list[int], size: tuple[int, int], corner: tuple[float, float] = TRAIN_CORNER) -> Scene:
    """Lay out and paint a town of (rows, columns) pixels whose north-western corner is given."""
    rng = np.random.default_rng(seed)
    left, top = corner
    bounds = (left, top - size[0] * PIXEL, left + size[1] * PIXEL, top)
    around = box(*bounds).buffer(SURROUNDINGS, join_style="mitre").bounds
    network = lay_streets(rng, around)
    plots = fill_blocks(rng, network)
    picture = paint(rng, bounds, PIXEL, network, plots)
    return Scene(picture, Affine(PIXEL, 0, left, 0, -PIXEL, top), bounds, *_truth(network, plots, bounds))


def _truth(network: Network, plots: Plots, bounds: Bounds) -> tuple[Geometry, Geometry]:
    roads = shapely.intersection(network.carriageway, box(*bounds))
    paved = shapely.union_all(plots.paved).difference(network.carriageway)
    return roads, shapely.intersection(paved, box(*bounds))


def _labelled_blocks(rng: np.random.Generator, scene: Scene, size: tuple[int, int]) -> list[Polygon]:
    """Scattered rectangles of whole pixels, about a fifth of the scene, each with some road in it."""
    edges = [np.linspace(0, side, max(round(side / BLOCK), 2) + 1).round().astype(int) for side in size]
    left, _, _, top = scene.bounds
    cells = [
        box(left + west * PIXEL, top - south * PIXEL, left + east * PIXEL, top - north * PIXEL)
        for north, south in pairwise(edges[0])
        for west, east in pairwise(edges[1])
    ]
    wanted = max(round(len(cells) * LABELLED_SHARE), 1)
    worth = [cell for cell in cells if cell.intersection(scene.roads).area > LEAST_ROAD_SHARE * cell.area]
    return [worth[index] for index in sorted(rng.permutation(len(worth))[:wanted])]


def _write_part(scene: Scene, blocks: list[Polygon], raster: Path, roads: Path, extent: Path) -> None:
    _write_raster(raster, scene.picture.image, scene.transform)
    inside = [part for block in blocks for part in parts(scene.roads.intersection(block))]
    _write_polygons(roads, "roads", inside)
    _write_polygons(extent, "extent", blocks)


def _write_raster(path: Path, image: NDArray[np.uint8], transform: Affine) -> None:
    rows, columns, bands = image.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", width=columns, height=rows, count=bands, crs=CRS,
        transform=transform, tiled=True, compress="deflate", photometric="RGB",
    ) as raster:  # fmt: skip
        raster.write(image.transpose(2, 0, 1))


def _write_polygons(path: Path, layer: str, polygons: list[Polygon]) -> None:
    path.unlink(missing_ok=True)
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(polygons, object)), [], [],
        layer=layer, driver="GPKG", geometry_type="Polygon", crs=CRS,
        dataset_options={"VERSION": "1.2"},  # which QGIS 3.22 reads without a warning
    )  # fmt: skip


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_scene(options.folder, options.seed)


if __name__ == "__main__":
    _main()
