"""Detecting roads: the model compiles while the rasters are looked at."""

from __future__ import annotations

from contextlib import nullcontext

from ...core.files import folder_for_outputs
from ...core.models.model_card import load_card
from ...core.models.runtime import runtime_loader
from ...core.reporting import Reporter
from ...core.windows import Tiling
from ..jobs import DetectJob, Outputs
from .heap import share_heap

# Imported before the model compiles, in a thread that reads environment variables: rasterio sets some when it is
# imported, and of two threads that read and set them at once, one may crash.
from .road_maps import make_road_maps

__all__ = ["do_detect"]

_TILE = 512


def do_detect(job: DetectJob, reporter: Reporter) -> Outputs:
    """Finds the roads in a raster or several."""
    share_heap()
    tiling = _tiling(job)
    card = load_card(job.model)
    load = runtime_loader(job.model, card, job.device, job.precision, tiling.tile)
    with nullcontext() if job.folder is None else folder_for_outputs(job.folder):
        return make_road_maps(job, card, load, tiling, reporter)


def _tiling(job: DetectJob) -> Tiling:
    tile = _TILE if job.tile is None else job.tile
    overlap = tile // 4 if job.overlap is None else job.overlap
    return Tiling(tile, overlap, 1 if job.batch is None else job.batch)
