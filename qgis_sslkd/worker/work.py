"""Does a job: checks it whole, then has training or core do the work."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from rasterio.windows import Window

from ..core.annotations import VectorLayer, read_polygons
from ..core.detection import predictor
from ..core.devices import choose_device, describe_device
from ..core.distributed import is_first, process_group
from ..core.errors import SettingError
from ..core.evaluation import evaluate_surface
from ..core.files import check_writable, written_whole
from ..core.model_file import load_card, load_network
from ..core.networks import parse_network
from ..core.rasters import RasterReader, inspect_raster
from ..core.reporting import Reporter, Silent
from ..core.road_map import (
    RoadMapFiles,
    RoadMapSettings,
    VectorFiles,
    check_model_fits,
    make_road_map,
    window_of_extent,
)
from ..core.vectorise import check_vectorisable, find_crs, vectorise
from ..core.vectors import VectorSettings
from ..core.windows import Tiling
from ..training.compare import compare
from ..training.comparison_data import open_comparison_data
from ..training.configuration import Configuration, load_configuration
from ..training.methods import find_method
from ..training.presets import PRESETS, TrainingSettings
from ..training.run import TrainingInputs, train
from .jobs import AnyJob, CompareJob, DetectJob, EvaluateJob, TrainJob, VectoriseJob

__all__ = ["do"]

_TILE = 512
_CPU_BATCH, _GPU_BATCH = 1, 8

Outputs = dict[str, Any]


def do(job: AnyJob, reporter: Reporter) -> Outputs:
    """Does a job and returns its outputs by name.

    Raises:
        SslkdError: if the job cannot be done; nothing is left behind then.
        CancelledError: where the user asked to stop.
    """
    match job:
        case TrainJob():
            return _train(job, reporter)
        case DetectJob():
            return _detect(job, reporter)
        case VectoriseJob():
            return _vectorise(job, reporter)
        case EvaluateJob():
            return _evaluate(job, reporter)
        case CompareJob():
            return _compare(job, reporter)


def _train(job: TrainJob, reporter: Reporter) -> Outputs:
    check_writable(job.model, job.report)
    _check_inputs_stay([*job.labelled, *job.roads, *job.area, *job.unlabelled], job.model, job.report)
    device = choose_device(job.device)
    method = find_method(job.method)
    settings = _training_settings(job)
    inputs = TrainingInputs(
        labelled=[inspect_raster(path) for path in job.labelled],
        roads=[read_polygons(path, job.road_width) for path in job.roads],
        area=_area(job.area),
        unlabelled=[inspect_raster(path) for path in job.unlabelled],
    )
    with process_group(device):
        scores = train(inputs, method, settings, device, job.model, job.report, _of_first(reporter), job.checkpoints)
    return {"model": str(job.model), "report": str(job.report), "iou": _number(scores.iou), "f1": _number(scores.f1)}


def _training_settings(job: TrainJob) -> TrainingSettings:
    """The preset with what the job sets otherwise."""
    chosen: dict[str, Any] = {
        "steps": job.steps,
        "batch": job.batch,
        "tile": job.tile,
        "learning_rate": job.learning_rate,
        "student": parse_network(job.student) if job.student else None,
        "teachers": tuple(map(parse_network, job.teachers)) or None,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return replace(PRESETS[job.preset], seed=job.seed, weights=job.weights, **given)


def _detect(job: DetectJob, reporter: Reporter) -> Outputs:
    files = RoadMapFiles(job.surface, job.probability, VectorFiles(job.outlines, job.centre_lines))
    _check_inputs_stay([job.raster, str(job.model)], job.surface, job.probability, job.outlines, job.centre_lines)
    settings = RoadMapSettings(job.threshold, VectorSettings(job.least_area, tolerance=job.simplify))
    device = choose_device(job.device)
    tiling = _tiling(job, device)
    card = load_card(job.model)
    raster = inspect_raster(job.raster)
    for warning in check_model_fits(card, raster):
        reporter.warning(warning)
    window = window_of_extent(raster, job.extent) if job.extent else Window(0, 0, raster.width, raster.height)
    reporter.info(
        f"Detecting roads in {raster.name}, {window.width} x {window.height} pixels of {raster.gsd:.2f} m, "
        f"with {card.network.architecture} / {card.network.encoder} on {describe_device(device)}."
    )
    predict = predictor(load_network(job.model, card), device)
    make_road_map(raster, window, card, predict, tiling, settings, files, reporter)
    outputs = {"surface": str(job.surface), "probability": _text(job.probability), "outlines": _text(job.outlines)}
    return outputs if job.centre_lines is None else {**outputs, "centre_lines": str(job.centre_lines)}


def _vectorise(job: VectoriseJob, reporter: Reporter) -> Outputs:
    files = VectorFiles(job.outlines, job.centre_lines)
    _check_inputs_stay([job.raster], job.outlines, job.centre_lines)
    shape = VectorSettings(job.least_area, job.fill_holes, job.simplify, job.smooth, job.bridge)
    settings = RoadMapSettings(job.threshold, shape)
    raster = inspect_raster(job.raster)
    check_vectorisable(raster)
    crs = None if job.crs is None else find_crs(job.crs, raster)
    vectorise(raster, settings, files, reporter, crs)
    return {"outlines": _text(job.outlines), "centre_lines": _text(job.centre_lines)}


def _evaluate(job: EvaluateJob, reporter: Reporter) -> Outputs:
    if job.json_file is not None:
        check_writable(job.json_file)
        _check_inputs_stay([job.surface, *job.roads, *job.area], job.json_file)
    surface = inspect_raster(job.surface)
    roads = [read_polygons(path, job.road_width) for path in job.roads]
    found = evaluate_surface(surface, roads, _area(job.area), reporter)
    scores = {name: _number(score) for name, score in asdict(found).items()}
    if job.json_file is not None:
        with written_whole(job.json_file) as partial:
            partial.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    return scores


def _compare(job: CompareJob, reporter: Reporter) -> Outputs:
    device = choose_device(job.device)
    configuration = _chosen(load_configuration(job.configuration), job)
    if job.data is None:
        raise SettingError("Where the data is must be told: give --data, or set the environment variable SSLKD_DATA.")
    with RasterReader() as reader, process_group(device):
        data = open_comparison_data(configuration.data, job.data, reader)
        job.output.mkdir(parents=True, exist_ok=True)
        compare(configuration, data, job.output, device, _of_first(reporter))
    return {"table": str(job.output / "table.csv"), "page": str(job.output / "table.html")}


def _chosen(configuration: Configuration, job: CompareJob) -> Configuration:
    """The configuration with the rows and seeds that the job names."""
    known = [row.name for row in configuration.rows]
    for name in job.rows:
        if name not in known:
            raise SettingError(f"The configuration has no row '{name}'; choose from {', '.join(known)}.")
    rows = [row for row in configuration.rows if not job.rows or row.name in job.rows]
    return configuration.model_copy(update={"rows": rows, "seeds": job.seeds or configuration.seeds})


def _of_first(reporter: Reporter) -> Reporter:
    """Of several processes, the first one reports."""
    return reporter if is_first() else Silent()


def _tiling(job: DetectJob, device: torch.device) -> Tiling:
    tile = _TILE if job.tile is None else job.tile
    overlap = tile // 4 if job.overlap is None else job.overlap
    usual_batch = _GPU_BATCH if device.type == "cuda" else _CPU_BATCH
    return Tiling(tile, overlap, usual_batch if job.batch is None else job.batch)


def _area(paths: Sequence[str]) -> list[VectorLayer]:
    return [read_polygons(path, line_width=None) for path in paths]


def _check_inputs_stay(inputs: Sequence[str], *outputs: Path | None) -> None:
    """Checks before any work that no output replaces an input."""
    taken = {Path(path.partition("|layername=")[0]).resolve() for path in inputs}
    for output in outputs:
        if output is not None and output.resolve() in taken:
            raise SettingError(f"The output {output} is one of the inputs; give it another name.")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _number(score: float) -> float | None:
    """A score for JSON, which knows no NaN."""
    return None if math.isnan(score) else score
