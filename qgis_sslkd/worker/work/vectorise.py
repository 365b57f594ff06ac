"""Outlines and centre lines of a raster of roads."""

from __future__ import annotations

from ...core.outputs import find_crs
from ...core.rasters import inspect_raster
from ...core.reporting import Reporter
from ...core.road_map import RoadMapSettings, VectorFiles
from ...core.vectorise import check_vectorisable, vectorise
from ...core.vectors import VectorSettings
from ..jobs import Outputs, VectoriseJob
from .common import check_inputs_stay, files_made
from .heap import share_heap

__all__ = ["do_vectorise"]


def do_vectorise(job: VectoriseJob, reporter: Reporter) -> Outputs:
    """Makes outlines and centre lines."""
    share_heap()
    files = VectorFiles(job.outlines, job.centre_lines)
    check_inputs_stay([job.raster], job.outlines, job.centre_lines)
    shape = VectorSettings(job.least_area, job.fill_holes, job.simplify, job.smooth, job.bridge)
    settings = RoadMapSettings(job.threshold, shape)
    raster = inspect_raster(job.raster)
    check_vectorisable(raster, job.road_class)
    crs = None if job.crs is None else find_crs(job.crs, raster)
    vectorise(raster, settings, files, reporter, crs, job.road_class)
    return files_made(outlines=job.outlines, centre_lines=job.centre_lines)
