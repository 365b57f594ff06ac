"""Comparing a surface raster with drawn roads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict

from ...core.evaluation import Comparison, Evaluation, evaluate_surface
from ...core.files import all_written_whole, check_writable, folder_beside
from ...core.geodata.annotations import VectorLayer, names_of, read_polygons
from ...core.geodata.outputs import check_raster_output
from ...core.geodata.rasters import RasterInfo, inspect_raster
from ...core.reporting import Reporter
from ..jobs import EvaluateJob, Outputs
from .common import check_inputs_stay, files_made, number, read_area

__all__ = ["do_evaluate"]


def do_evaluate(job: EvaluateJob, reporter: Reporter) -> Outputs:
    """Scores a surface raster."""
    files = [path for path in (job.json_file, job.report, job.map) if path is not None]
    check_writable(*files)
    if job.map is not None:
        check_raster_output(job.map)
    check_inputs_stay([job.surface, *job.roads, *job.area], reporter, *files)
    surface = inspect_raster(job.surface)
    roads = [read_polygons(path, job.road_width, [surface]) for path in job.roads]
    area = read_area(job.area, [surface])
    with ExitStack() as outputs:
        partials = outputs.enter_context(all_written_whole(files))
        json_file, report, map_file = (path and partials[path] for path in (job.json_file, job.report, job.map))
        if job.report is not None and map_file is None:
            # The report shows the map, whether it is kept or not.
            map_file = outputs.enter_context(folder_beside(job.report)) / "map.tif"
        evaluation = evaluate_surface(surface, roads, area, job.buffer, map_file, reporter)
        if evaluation.whole.confusion.hits + evaluation.whole.confusion.misses == 0:
            reporter.warning(f"No road of {names_of(roads)} lies where was compared; check the layers' positions.")
        if report is not None and map_file is not None:
            # matplotlib takes a second to import.
            from ...training.reports.evaluation import write_evaluation_report

            write_evaluation_report(
                report, surface, evaluation, job.buffer, map_file, _facts(job, surface, roads, area)
            )
        if json_file is not None:
            json_file.write_text(json.dumps(_details(evaluation, job.buffer), indent=1) + "\n", encoding="utf-8")
    return _scores(evaluation.whole) | files_made(json=job.json_file, report=job.report, map=job.map)


def _facts(
    job: EvaluateJob, surface: RasterInfo, roads: Sequence[VectorLayer], area: Sequence[VectorLayer]
) -> dict[str, str]:
    return {
        "Road surface": job.surface,
        "Pixels": f"{surface.width} x {surface.height} of {surface.gsd:.3f} m",
        "Drawn roads": names_of(roads),
        "Width of roads drawn as lines": f"{job.road_width:g} m",
        "Area": names_of(area) or "all of the raster",
    }


def _details(evaluation: Evaluation, buffer: float) -> dict[str, object]:
    """All that was counted and scored; within the buffer in metres where the names say relaxed."""
    areas = [
        {"x": part.place[0], "y": part.place[1], **_scores(part.comparison), **asdict(part.comparison.confusion)}
        for part in evaluation.parts
    ]
    whole = evaluation.whole
    return {**_scores(whole), "buffer": buffer, **asdict(whole.confusion), "areas": areas}


def _scores(comparison: Comparison) -> Outputs:
    relaxed = {f"relaxed_{name}": score for name, score in asdict(comparison.matches.scores()).items()}
    scores = asdict(comparison.confusion.scores()) | relaxed
    return {name: number(score) for name, score in scores.items()}
