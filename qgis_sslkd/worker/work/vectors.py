"""How a job has its vectors made."""

from __future__ import annotations

from ...core.road_map import RoadMapSettings
from ...core.vectors.outlines import VectorSettings
from ..jobs import VectorsJob

__all__ = ["road_map_settings"]


def road_map_settings(job: VectorsJob) -> RoadMapSettings:
    """The settings of a job, checked.

    Raises:
        SettingError: if a number lies outside of its range.
    """
    shape = VectorSettings(job.least_area, job.fill_holes, job.simplify, job.smooth, job.bridge)
    return RoadMapSettings(job.threshold, shape)
