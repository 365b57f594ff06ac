"""A run of SSLKD, top to bottom: data, teachers, student, model file, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ..core.annotations import VectorLayer
from ..core.devices import describe_device
from ..core.files import written_whole
from ..core.metrics import Scores
from ..core.model_file import ModelCard, save_model
from ..core.networks import NetworkSpec, build_network
from ..core.rasters import RasterInfo, RasterReader
from ..core.reporting import Reporter
from ..core.trainers import StudentTrainer, TeachersTrainer
from .checkpoints import Checkpoints, identify
from .data import TrainingData, prepare
from .fit import Run, Stage, seed_torch
from .presets import TrainingSettings
from .report import write_report

__all__ = ["TrainingInputs", "train_sslkd"]

_TEACHERS = Stage(1, "step 1 of 2 (teachers)", 0.0, 0.5)
_STUDENT = Stage(2, "step 2 of 2 (student)", 0.5, 1.0)


@dataclass(frozen=True)
class TrainingInputs:
    """What a run learns from.

    Attributes:
        labelled: rasters that roads were drawn on.
        roads: all the roads inside of the area.
        area: where all roads were drawn; empty for the whole of the rasters.
        unlabelled: further rasters; empty for what lies outside of the area.
    """

    labelled: Sequence[RasterInfo]
    roads: Sequence[VectorLayer]
    area: Sequence[VectorLayer]
    unlabelled: Sequence[RasterInfo]


def train_sslkd(
    inputs: TrainingInputs,
    settings: TrainingSettings,
    device: torch.device,
    model: Path,
    report: Path,
    reporter: Reporter,
    checkpoint_folder: Path | None = None,
) -> Scores:
    """Trains the teachers, then the student, and writes the student's model file and the report.

    With a checkpoint folder, a run of the same inputs and settings that was stopped goes on to the same result.

    Returns:
        The student's scores on the held-out part of the annotated area.

    Raises:
        SslkdError: if the inputs do not go together or training fails; no file is left behind then.
    """
    with RasterReader() as reader:
        data = prepare(
            inputs.labelled, inputs.roads, inputs.area, inputs.unlabelled, settings.tile, settings.seed, reader
        )
        reporter.info(_summary(data, settings, device))
        checkpoints = _checkpoints(checkpoint_folder, inputs, settings)
        run = Run(data, settings, device, reader, reporter, checkpoints)
        step_1 = TeachersTrainer(
            {f"teacher {k}": _build(spec, data, settings, k) for k, spec in enumerate(settings.teachers, start=1)},
            warm_up=settings.teachers_warm_up,
        )
        taught = run.fit(step_1, _TEACHERS)
        student = _build(settings.student, data, settings, 0)
        distilled = run.fit(StudentTrainer(student, step_1.networks, warm_up=settings.student_warm_up), _STUDENT)
        scores = distilled.kept["student"]
        card = _card(data, settings, scores)
        # The model first: hours of training must not hang on a picture.
        save_model(model, student, card)
        with written_whole(report) as partial:
            write_report(partial, card, run, {**step_1.networks, "student": student}, [taught, distilled])
    if checkpoints:
        checkpoints.remove([_TEACHERS.number, _STUDENT.number])
    return scores


def _checkpoints(folder: Path | None, inputs: TrainingInputs, settings: TrainingSettings) -> Checkpoints | None:
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    rasters, layers = [*inputs.labelled, *inputs.unlabelled], [*inputs.roads, *inputs.area]
    return Checkpoints(folder, identify(rasters, layers, settings))


def _build(spec: NetworkSpec, data: TrainingData, settings: TrainingSettings, number: int) -> nn.Module:
    """A network for the bands of the data; `number` tells networks of one seed apart."""
    seed_torch(settings.seed, 0, number)
    network = _for_bands(spec, data)
    return build_network(network, settings.weights, settings.batch_norm_momentum)


def _for_bands(spec: NetworkSpec, data: TrainingData) -> NetworkSpec:
    return replace(spec, in_channels=len(data.normalisation.mean))


def _card(data: TrainingData, settings: TrainingSettings, scores: Scores) -> ModelCard:
    return ModelCard(
        network=_for_bands(settings.student, data),
        normalisation=data.normalisation,
        dtype=data.labelled[0].raster.dtype,
        gsd=data.gsd,
        tile=settings.tile,
        training=asdict(settings),
        scores=asdict(scores),
    )


def _summary(data: TrainingData, settings: TrainingSettings, device: torch.device) -> str:
    rasters = {source.raster for source in (*data.labelled, *data.unlabelled)}
    return (
        f"Learning from {len(rasters)} raster(s) at {data.gsd:.2f} m, "
        f"{data.labelled_area / 10_000:.1f} ha labelled, {data.held_out_area / 10_000:.1f} ha held out for validation; "
        f"{settings.steps} steps of {settings.batch} + {settings.batch} windows of {settings.tile} px "
        f"for the teachers and as many for the student, on {describe_device(device)}."
    )
