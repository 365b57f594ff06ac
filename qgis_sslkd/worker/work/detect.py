"""Detecting roads."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace

import numpy as np
import rasterio
from rasterio.windows import Window

from ...core.model_card import load_card
from ...core.rasters import RasterInfo, inspect_raster
from ...core.reporting import Reporter
from ...core.road_map import (
    RoadMapFiles,
    RoadMapSettings,
    VectorFiles,
    check_model_fits,
    make_road_map,
    window_of_extent,
)
from ...core.runtime import load_runtime
from ...core.vectors import VectorSettings
from ...core.windows import Tiling
from ..jobs import DetectJob
from .common import Outputs, check_inputs_stay, text

__all__ = ["do_detect"]

_TILE = 512
_BLOCK = 512  # pixels, of most tiled rasters
_LEAST_CACHE = 8 * 2**20


def do_detect(job: DetectJob, reporter: Reporter) -> Outputs:
    """Finds the roads in a raster."""
    _share_heap()
    files = RoadMapFiles(job.surface, job.probability, VectorFiles(job.outlines, job.centre_lines))
    check_inputs_stay([job.raster, str(job.model)], job.surface, job.probability, job.outlines, job.centre_lines)
    settings = RoadMapSettings(job.threshold, VectorSettings(job.least_area, tolerance=job.simplify))
    tiling = _tiling(job)
    card = load_card(job.model)
    raster = inspect_raster(job.raster)
    warnings = check_model_fits(card, raster)
    runtime = load_runtime(job.model, card, job.device, job.precision)
    if job.batch is None:
        tiling = replace(tiling, batch=runtime.batch)
    for warning in (*warnings, *runtime.warnings):
        reporter.warning(warning)
    window = window_of_extent(raster, job.extent) if job.extent else Window(0, 0, raster.width, raster.height)
    reporter.info(
        f"Detecting roads in {raster.name}, {window.width} x {window.height} pixels of {raster.gsd:.2f} m, "
        f"with {card.network.architecture} / {card.network.encoder} on {runtime.description}."
    )
    with rasterio.Env(GDAL_CACHEMAX=_cache(raster, tiling)):
        make_road_map(raster, window, card, runtime.predict, tiling, settings, files, reporter)
    outputs = {"surface": str(job.surface), "probability": text(job.probability), "outlines": text(job.outlines)}
    return outputs if job.centre_lines is None else {**outputs, "centre_lines": str(job.centre_lines)}


def _tiling(job: DetectJob) -> Tiling:
    tile = _TILE if job.tile is None else job.tile
    overlap = tile // 4 if job.overlap is None else job.overlap
    return Tiling(tile, overlap, 1 if job.batch is None else job.batch)


def _cache(raster: RasterInfo, tiling: Tiling) -> int:
    """Bytes for GDAL to keep blocks in: a row of tiles and of the result; it would take 5 % of the machine's memory."""
    column = (len(raster.bands) * np.dtype(raster.dtype).itemsize + 1) * (tiling.tile + _BLOCK)
    return _LEAST_CACHE + raster.width * column


def _share_heap() -> None:
    """Has all threads share glibc's heap: one for each would keep what every thread took at its most."""
    most_arenas = -8  # M_ARENA_MAX in malloc.h
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(most_arenas, 1)
