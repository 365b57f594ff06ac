"""Seconds and peak memory of outlines and centre lines of a town's streets, beside GDAL's polygonizer.

Run it: python benchmarks/vectorise.py [--side 16384] [--centre-lines]
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TypeVar

import numpy as np
import rasterio
from affine import Affine
from rasterio.features import rasterize, shapes
from rasterio.windows import Window

sys.path.append(str(Path(__file__).resolve().parents[1]))

from demo.streets import lay_streets
from qgis_sslkd.core.reporting import Silent
from qgis_sslkd.core.vectors.centre_lines import write_centre_lines
from qgis_sslkd.core.vectors.outlines import VectorSettings, write_outlines

TILE = 2048  # pixels, of the streets that are mirrored all over the raster: one network from edge to edge
PIXEL = 0.3  # metres
Result = TypeVar("Result")
SETTINGS = VectorSettings(fill_holes=30, smooth=2, bridge=15)


def write_streets(path: Path, side: int) -> None:
    """Write a square mask of streets, rows by rows."""
    network = lay_streets(np.random.default_rng(0), (0, 0, TILE * PIXEL, TILE * PIXEL))
    tile = rasterize(
        [network.carriageway], out_shape=(TILE, TILE), transform=Affine(PIXEL, 0, 0, 0, -PIXEL, TILE * PIXEL)
    )
    mirrored = np.block([[tile, tile[:, ::-1]], [tile[::-1], tile[::-1, ::-1]]])
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=1, dtype="uint8", nodata=255, crs="EPSG:32632",
        transform=Affine(PIXEL, 0, 466000, 0, -PIXEL, 5250000), tiled=True, blockxsize=512, blockysize=512,
        compress="deflate", zlevel=1, num_threads="all_cpus",
    ) as dataset:  # fmt: skip
        for top in range(0, side, 512):
            rows = np.arange(top, min(top + 512, side)) % len(mirrored)
            strip = mirrored[rows][:, np.arange(side) % len(mirrored)]
            dataset.write(strip, 1, window=Window(0, top, side, len(rows)))


def polygonize(path: Path) -> int:
    """What GDAL's polygonizer alone takes, fed from the file."""
    with rasterio.Env(GDAL_CACHEMAX=64 * 2**20), rasterio.open(path) as dataset:
        band = rasterio.band(dataset, 1)
        return sum(1 for _ in shapes(band, mask=band, connectivity=4, transform=dataset.transform))


def outlines(path: Path) -> int:
    """Outlines to a GeoPackage."""
    return write_outlines(path, path.with_name("outlines.gpkg"), SETTINGS, Silent())


def centre_lines(path: Path) -> int:
    """Centre lines to a GeoPackage."""
    return write_centre_lines(path, path.with_name("centre_lines.gpkg"), SETTINGS, Silent())


def measured(work: Callable[[Path], int], path: Path) -> tuple[int, float, float]:
    """What the work returns, its seconds and its process's peak memory in MiB."""
    start = perf_counter()
    count = work(path)
    return count, perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(function: Callable[..., Result], *arguments: object) -> Result:
    """What a function returns in a process of its own, whose memory is its own, too."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    """Measure each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=16384, help="of the raster, in pixels")
    parser.add_argument("--centre-lines", action="store_true", help="measure these too, which takes minutes")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = Path(folder, "streets.tif")
        apart(write_streets, path, options.side)
        baseline = None
        for work in (polygonize, outlines, centre_lines)[: 3 if options.centre_lines else 2]:
            count, seconds, memory = apart(measured, work, path)
            baseline = baseline or seconds
            share = seconds / baseline
            print(
                f"{work.__name__:12} {count:7} features {seconds:7.1f} s {share:5.2f} x {memory:6.0f} MiB", flush=True
            )


if __name__ == "__main__":
    main()
