"""Comparing a surface raster with drawn roads."""

from __future__ import annotations

import json
from dataclasses import asdict

from ...core.annotations import read_polygons
from ...core.evaluation import evaluate_surface
from ...core.files import check_writable, written_whole
from ...core.rasters import inspect_raster
from ...core.reporting import Reporter
from ..jobs import EvaluateJob
from .common import Outputs, check_inputs_stay, number, read_area

__all__ = ["do_evaluate"]


def do_evaluate(job: EvaluateJob, reporter: Reporter) -> Outputs:
    """Scores a surface raster."""
    if job.json_file is not None:
        check_writable(job.json_file)
        check_inputs_stay([job.surface, *job.roads, *job.area], job.json_file)
    surface = inspect_raster(job.surface)
    roads = [read_polygons(path, job.road_width) for path in job.roads]
    found = evaluate_surface(surface, roads, read_area(job.area), reporter)
    scores = {name: number(score) for name, score in asdict(found).items()}
    if job.json_file is not None:
        with written_whole(job.json_file) as partial:
            partial.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    return scores
