"""A run on a user's rasters, top to bottom: data, training, model file, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median

import torch

from ..core.distributed import is_first
from ..core.files import make_folder, written_whole
from ..core.geodata.annotations import names_of
from ..core.geodata.rasters import RasterReader
from ..core.metrics import Scores
from ..core.models.devices import describe_device
from ..core.models.model_card import ModelCard
from ..core.models.model_file import save_model
from ..core.reporting import Reporter
from .checkpoints import Checkpoints, identify
from .data import TrainingData, TrainingInputs, prepare
from .fit import Run
from .methods import Method, Trained
from .presets import TrainingSettings
from .reports.advice import Outcome, verdict
from .reports.pages import ground
from .reports.training import write_report

__all__ = ["model_card", "train"]


def train(
    inputs: TrainingInputs,
    method: Method,
    settings: TrainingSettings,
    device: torch.device,
    model: Path,
    report: Path,
    reporter: Reporter,
    checkpoint_folder: Path | None = None,
    facts: Mapping[str, str] | None = None,
) -> Scores:
    """Trains by a method and writes the model file of the network that is its result, and the report.

    With a checkpoint folder, a run of the same inputs and settings that was stopped goes on to the same result.
    Facts are what else the report tells of the inputs, by name.

    Returns:
        The network's scores on the held-out part of the annotated area.

    Raises:
        SslkdError: if the inputs do not go together or training fails; no file is left behind then.
        CancelledError: where the user asked to stop; the model is left where only the report was missing.
    """
    checkpoints = _checkpoints(checkpoint_folder, inputs)
    settings = method.settings(settings)
    reporter.progress(0, "looking at the imagery and the drawn roads")
    with RasterReader() as reader:
        data = prepare(inputs, settings.tile, settings.seed, reader, method.unlabelled)
        reporter.info(_summary(data, method, settings, device))
        run = Run(data, settings, device, reader, reporter, checkpoints)
        trained = method.train(run)
        if is_first():
            reporter.progress(1, "writing the model")
            _write(trained, method, run, model, report, _of_layers(inputs) | dict(facts or {}))
    if checkpoints:
        checkpoints.remove([stage.name for stage in trained.histories])
    return trained.scores[trained.kept]


def model_card(trained: Trained, run: Run) -> ModelCard:
    """What the network that is the result is, for its model file."""
    return ModelCard(
        network=trained.spec,
        normalisation=run.data.normalisation,
        dtype=run.data.labelled[0].raster.dtype,
        gsd=run.data.gsd,
        tile=run.settings.tile,
        training=asdict(run.settings),
        scores=asdict(trained.scores[trained.kept]),
        colours=run.data.labelled[0].raster.colours,
        imagery_gsd=median(source.raster.gsd for source in run.data.labelled),
    )


def _write(trained: Trained, method: Method, run: Run, model: Path, report: Path, facts: Mapping[str, str]) -> None:
    card = model_card(trained, run)
    # The model first: hours of training must not hang on a picture.
    if not save_model(model, trained.network, card):
        run.reporter.warning("The student cannot be written as a graph: detection on the CPU will be slower.")
    run.reporter.info(f"The model is written to {model}; the report follows.")
    run.reporter.progress(1, "making the report")
    with written_whole(report) as partial:
        write_report(partial, method, card, run, trained, facts)
    run.reporter.info(f"{verdict(Outcome.of(run, trained))} The report tells what to do next.")


def _of_layers(inputs: TrainingInputs) -> dict[str, str]:
    return {
        "Drawn roads": names_of(inputs.roads),
        "Annotated area": names_of(inputs.area) or "the whole of the labelled rasters",
    }


def _checkpoints(folder: Path | None, inputs: TrainingInputs) -> Checkpoints | None:
    if folder is None:
        return None
    make_folder(folder)
    identity = identify([inputs.labelled, inputs.unlabelled], [inputs.roads, inputs.area], inputs.gsd, folder)
    return Checkpoints(folder, identity)


def _summary(data: TrainingData, method: Method, settings: TrainingSettings, device: torch.device) -> str:
    windows = f"{settings.batch} + {settings.batch}" if data.unlabelled else f"{settings.batch}"
    rasters = {source.raster for source in (*data.labelled, *data.unlabelled)}
    return (
        f"Learning from {len(rasters)} raster(s) at {data.gsd:.2f} m, "
        f"{ground(data.labelled_area)} labelled, {ground(data.held_out_area)} held out for validation: "
        f"{method.title}, {settings.steps} steps of {windows} windows of {settings.tile} px "
        f"in each part of the training, on {describe_device(device)}."
    )
