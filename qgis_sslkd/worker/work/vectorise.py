"""Outlines and centre lines of a raster of roads."""

from __future__ import annotations

from ...core.geodata.outputs import find_crs
from ...core.geodata.rasters import inspect_raster
from ...core.reporting import Reporter
from ...core.road_map import VectorFiles
from ...core.vectorise import check_vectorisable, vectorise
from ..jobs import Outputs, VectoriseJob
from .common import check_inputs_stay, files_made
from .heap import share_heap
from .vectors import road_map_settings

__all__ = ["do_vectorise"]


def do_vectorise(job: VectoriseJob, reporter: Reporter) -> Outputs:
    """Makes outlines and centre lines."""
    share_heap()
    files = VectorFiles(job.outlines, job.centre_lines)
    check_inputs_stay([job.raster], reporter, job.outlines, job.centre_lines)
    settings = road_map_settings(job)
    raster = inspect_raster(job.raster)
    check_vectorisable(raster, job.road_class)
    crs = None if job.crs is None else find_crs(job.crs, raster)
    vectorise(raster, settings, files, reporter, crs, job.road_class)
    return files_made(outlines=job.outlines, centre_lines=job.centre_lines)
