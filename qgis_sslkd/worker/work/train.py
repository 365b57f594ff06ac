"""Training a student."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...core.annotations import read_polygons
from ...core.devices import choose_device
from ...core.distributed import of_first, process_group
from ...core.files import check_writable
from ...core.networks import parse_network
from ...core.rasters import inspect_raster
from ...core.reporting import Reporter
from ...training.methods import find_method
from ...training.presets import PRESETS, TrainingSettings
from ...training.run import TrainingInputs, train
from ..jobs import TrainJob
from .common import Outputs, check_inputs_stay, number, read_area

__all__ = ["do_train"]


def do_train(job: TrainJob, reporter: Reporter) -> Outputs:
    """Trains a student."""
    check_writable(job.model, job.report)
    check_inputs_stay([*job.labelled, *job.roads, *job.area, *job.unlabelled], job.model, job.report)
    device = choose_device(job.device)
    method = find_method(job.method)
    settings = _training_settings(job)
    inputs = TrainingInputs(
        labelled=[inspect_raster(path, job.bands) for path in job.labelled],
        roads=[read_polygons(path, job.road_width) for path in job.roads],
        area=read_area(job.area),
        unlabelled=[inspect_raster(path, job.bands) for path in job.unlabelled],
    )
    with process_group(device):
        scores = train(inputs, method, settings, device, job.model, job.report, of_first(reporter), job.checkpoints)
    return {"model": str(job.model), "report": str(job.report), "iou": number(scores.iou), "f1": number(scores.f1)}


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
