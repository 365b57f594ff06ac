"""Detecting roads: the model compiles while the rasters are looked at."""

from __future__ import annotations

import ctypes
import sys

from ...core.model_card import load_card
from ...core.reporting import Reporter
from ...core.runtime import runtime_loader
from ...core.windows import Tiling
from ..jobs import DetectJob, Outputs

# Imported before the model compiles, in a thread that reads environment variables: rasterio sets some when it is
# imported, and of two threads that read and set them at once, one may crash.
from .road_maps import make_road_maps

__all__ = ["do_detect"]

_TILE = 512
_OWN_MAPPING = 4 * 2**20  # bytes; more than a tile takes


def do_detect(job: DetectJob, reporter: Reporter) -> Outputs:
    """Finds the roads in a raster or several."""
    _share_heap()
    tiling = _tiling(job)
    card = load_card(job.model)
    load = runtime_loader(job.model, card, job.device, job.precision, tiling.tile)
    return make_road_maps(job, card, load, tiling, reporter)


def _tiling(job: DetectJob) -> Tiling:
    tile = _TILE if job.tile is None else job.tile
    overlap = tile // 4 if job.overlap is None else job.overlap
    return Tiling(tile, overlap, 1 if job.batch is None else job.batch)


def _share_heap() -> None:
    """Has all threads share glibc's heap, and give back at once what is large: it would keep them at their most."""
    mmap_threshold, most_arenas = -3, -8  # M_MMAP_THRESHOLD and M_ARENA_MAX in malloc.h
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(most_arenas, 1)
        mallopt(mmap_threshold, _OWN_MAPPING)
